import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { hex } from './frames.test.helper.ts'
import { encodeTcpOptions, type TcpOptions } from './tcp-options.ts'

const outside = { name: 'RangeError', code: 'NETMEM_OUT_OF_RANGE' }
const timestamps = { value: 0xa1a2_a3a4, echo: 1 }
const block = { left: 0xffff_fff0, right: 0x10 }

describe('TCP options', () => {
  it('are written as Linux writes them', () => {
    const cases: [TcpOptions, string][] = [
      [{}, ''],
      // A SYN.
      [
        { maximumSegmentSize: 1460, sackPermitted: true, timestamps, windowScale: 7 },
        '0204 05b4 0402 080a a1a2a3a4 00000001 01 0303 07',
      ],
      [{ maximumSegmentSize: 1460, sackPermitted: true }, '0204 05b4 0402 0101'],
      [{ timestamps }, '0101 080a a1a2a3a4 00000001'],
      [{ timestamps, sack: [] }, '0101 080a a1a2a3a4 00000001'],
      [{ sack: [block] }, '0101 050a fffffff0 00000010'],
      [
        { timestamps, sack: [block, block, block] },
        `0101 080a a1a2a3a4 00000001 0101 051a ${'fffffff0 00000010'.repeat(3)}`,
      ],
      [{ sack: [block, block, block, block] }, `0101 0522 ${'fffffff0 00000010'.repeat(4)}`],
    ]
    for (const [options, bytes] of cases) assert.deepEqual(encodeTcpOptions(options), hex(bytes))
  })

  it('have to fit', () => {
    for (const options of [
      { timestamps, sack: [block, block, block, block] },
      { maximumSegmentSize: 65_536 },
      { windowScale: 15 },
      { timestamps: { value: -1, echo: 0 } },
      { sack: [{ left: 0, right: 2 ** 32 }] },
    ]) {
      assert.throws(() => encodeTcpOptions(options), outside)
    }
  })
})
