/**
 * The hash by which a NIC spreads flows over queues (receive-side scaling). Each bit of the
 * addresses and ports that is 1 adds, by exclusive or, the 32 bits of the key that begin where the
 * bit stands. What a whole byte adds is looked up in a table made once for a key.
 */

import { ArgumentRangeError } from '../errors.ts'
import { FrameKind, type FrameLayout } from './frame-layout.ts'

/** Two IPv6 addresses and two ports, and the 32 bits that begin at the last bit of them. */
const KEY_BYTES = 40
const INPUT_BYTES = 36

/** The key of Microsoft's verification suite, whose hashes are published; many drivers' default. */
export const DEFAULT_RSS_KEY: Readonly<Uint8Array> = Uint8Array.of(
  ...[0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67],
  ...[0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb],
  ...[0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30],
  ...[0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa],
)

/** For each place a byte can have in the input, and each value, what it adds to the hash. */
export type ToeplitzTable = Readonly<Int32Array>

/** Makes the table of a key of 40 bytes: 36 KiB. Throws NETMEM_OUT_OF_RANGE for another length. */
export function makeToeplitzTable(key: Readonly<Uint8Array>): ToeplitzTable {
  if (key.length !== KEY_BYTES) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `An RSS key must have ${KEY_BYTES} bytes, not ${key.length}.`,
    )
  }
  const table = new Int32Array(INPUT_BYTES * 256)
  for (let place = 0; place < INPUT_BYTES; place++) {
    for (let bit = 0; bit < 8; bit++) {
      const window = keyBits(key, 8 * place + bit)
      const mask = 0x80 >> bit
      for (let value = 0; value < 256; value++) {
        if ((value & mask) !== 0) {
          const at = (place << 8) | value
          table[at] = (table[at] ?? 0) ^ window
        }
      }
    }
  }
  return table
}

/**
 * The hash, as a signed 32-bit integer, of the frame at `frameOffset` of `bytes`, whose parsed
 * headers are `layout`: over addresses and ports of TCP and UDP, over addresses of other IP,
 * fragments, and all where `ports` is false. 0 without IP.
 */
export function toeplitzHash(
  table: ToeplitzTable,
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
  ports = true,
): number {
  // In both versions the destination address stands right behind the source address.
  const addresses = 2 * layout.addressBytes
  let at = frameOffset + layout.sourceOffset
  let hash = 0
  let row = 0
  for (const end = addresses << 8; row < end; row += 256) {
    hash ^= table[row | (bytes[at++] ?? 0)] ?? 0
  }
  if (ports && layout.kind >= FrameKind.tcp) {
    const { sourcePort, destinationPort } = layout
    hash ^= table[row | (sourcePort >> 8)] ?? 0
    hash ^= table[(row + 256) | (sourcePort & 255)] ?? 0
    hash ^= table[(row + 512) | (destinationPort >> 8)] ?? 0
    hash ^= table[(row + 768) | (destinationPort & 255)] ?? 0
  }
  return hash
}

/** The 32 bits of the key from bit `from`, counted from the highest of the first byte. */
function keyBits(key: Readonly<Uint8Array>, from: number): number {
  let bits = 0
  for (let bit = from; bit < from + 32; bit++) {
    bits = (bits << 1) | (((key[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1)
  }
  return bits
}
