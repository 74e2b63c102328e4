import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createPool, hostProvider } from '../index.ts'
import { describeError } from './exit.ts'
import { inFlags } from './flags.ts'

describe('messages in the words of the command line', () => {
  const cases = [
    ['only with decompress: true it is decoded.', 'only with --decompress it is decoded.'],
    ["Get it again, or set onChange to 'restart'.", 'Get it again, or use --on-change restart.'],
    ["Pass onChange: 'restart'.", 'Pass --on-change restart.'],
    ['Or set authorization, or a field.', 'Or use --user, or a field.'],
    ['Too long; raise maxHeadBytes if that is well.', 'Too long.'],
    ['Or set proxy: false.', 'Or use --no-proxy.'],
    ['pageSize must be a power of two.', '--page-size must be a power of two.'],
    ['Use connections: 1, without resume.', 'Use --connections 1, without resume.'],
    ['The headers of a proxy: retries.', 'The headers of a proxy: retries.'],
  ] as const
  for (const [message, said] of cases) {
    it(said, () => assert.equal(inFlags(message), said))
  }

  it('are those of every netmem error', () => {
    try {
      createPool(hostProvider({ pages: 1, pageSize: 5000 }))
      assert.fail('a pool of such pages')
    } catch (error) {
      assert.match(describeError(error).message, /^--page-size must be a power of two/)
    }
  })
})
