import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { jsonLines, run } from './cli.test.helper.ts'
import { uidOf } from './devmem/user.ts'

const root = process.getuid?.() === 0 ? false : 'needs root: run it with sudo'
const skip = existsSync('/proc/self/ns/net') ? false : 'needs Linux'

describe('netmem devmem', { skip }, () => {
  const refused: readonly [string, readonly string[], number, RegExp][] = [
    [
      'an interface that is not there',
      ['prepare', 'none-such', '--queues', '1', '--socket', 'x'],
      2,
      /USAGE: There is no interface none-such/,
    ],
    ['a receiver on no interface', ['recv', 'none-such', '--queues', '1'], 2, /USAGE: There is no/],
    ['another word', ['dance'], 2, /USAGE: unknown command 'dance'/],
    ['an undo of nothing', ['undo', 'lo'], 1, /NETMEM_DEVMEM_NOT_PREPARED: /],
  ]
  for (const [what, args, wanted, words] of refused) {
    it(`refuses ${what}`, async () => {
      const { code, err } = await run(['devmem', ...args])
      assert.equal(code, wanted, err)
      assert.match(err, words)
    })
  }

  it('names the whole command in JSON', async () => {
    const { out } = await run(['devmem', 'undo', 'lo', '--json'])
    const [end] = jsonLines(out.toString())
    assert.deepEqual(
      [end?.['command'], end?.['event'], end?.['exitCode']],
      ['devmem undo', 'end', 1],
    )
  })

  it('says what lo lacks, and leaves nothing', { skip: root }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'netmem-devmem-'))
    const socket = join(folder, 'socket')
    const { code, err } = await run([
      'devmem',
      'prepare',
      'lo',
      '--queues',
      '0',
      '--socket',
      socket,
    ])
    assert.equal(code, 1)
    // A machine without dma-bufs does not come as far as the queues.
    assert.match(err, /NETMEM_(DEVMEM_NO_QUEUE_LEFT|UDMABUF_UNAVAILABLE): /)
    assert.equal(existsSync(socket), false)
    assert.match((await run(['devmem', 'undo', 'lo'])).err, /NETMEM_DEVMEM_NOT_PREPARED/)
    rmSync(folder, { recursive: true })
  })

  it('knows users by name and by number', () => {
    assert.equal(uidOf('root'), 0)
    assert.equal(uidOf('1234'), 1234)
    assert.throws(() => uidOf('none-such'), /no user none-such/)
  })
})
