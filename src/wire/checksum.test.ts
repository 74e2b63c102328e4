import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { parseAddress } from './address.ts'
import { foldSum, pseudoHeaderSum, sumBytes } from './checksum.ts'

/** RFC 1071 word by word, the carry added back each time. */
function modelSum(bytes: Iterable<number>, initial: number): number {
  const all = [...bytes, 0]
  let sum = initial
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000)
  for (let at = 0; at + 1 < all.length; at += 2) {
    sum += (all[at] ?? 0) * 256 + (all[at + 1] ?? 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

test('a sum is folded to 16 bits, and only 0 becomes 0', () => {
  for (const [sum, folded] of [
    [0, 0],
    [1, 1],
    [0xffff, 0xffff],
    [0x1_0000, 1],
    [0x1_fffe, 0xffff],
    [0xffff_0000, 0xffff],
    [0xffff_ffff, 0xffff],
  ] as const) {
    assert.equal(foldSum(sum), folded)
  }
})

test('bytes are summed as the model sums them', () => {
  // The example of RFC 1071, 3.
  const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  assert.equal(sumBytes(example, 0, 8), 0xddf2)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(200),
      fc.nat(200),
      fc.oneof(fc.constant(0), fc.nat(0xffff_ffff)),
      (bytes, from, most, initial) => {
        const offset = Math.min(from, bytes.length)
        const length = Math.min(most, bytes.length - offset)
        const expected = modelSum(bytes.subarray(offset, offset + length), initial)
        assert.equal(sumBytes(bytes, offset, length, initial), expected)
      },
    ),
  )
  // More words than are added before a sum is folded.
  const large = new Uint8Array(200_001).fill(0xff)
  assert.equal(sumBytes(large, 0, large.length, 0xffff_ffff), modelSum(large, 0xffff_ffff))
})

test('a pseudo-header is what the RFCs draw', () => {
  const v4 = [...parseAddress('10.0.0.1'), ...parseAddress('10.0.0.2')]
  const v6 = [...parseAddress('fd00::1'), ...parseAddress('fd00::2')]
  for (const [addresses, addressBytes] of [
    [v4, 4],
    [v6, 16],
  ] as const) {
    for (const l4Bytes of [8, 20, 0xffff, 100_020]) {
      const tail = [l4Bytes >>> 24, l4Bytes >>> 16, l4Bytes >>> 8, l4Bytes, 0, 0, 0, 17]
      const drawn = [...addresses, ...tail.map((byte) => byte & 0xff)]
      const bytes = Uint8Array.of(99, ...addresses, 99)
      assert.equal(pseudoHeaderSum(bytes, 1, addressBytes, 17, l4Bytes), modelSum(drawn, 0))
    }
  }
})
