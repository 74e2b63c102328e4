/**
 * Toeplitz hash, by which a NIC spreads flows over queues (receive-side scaling). Each bit 1 of the
 * addresses and ports adds 32 bits of the key by exclusive or. They begin where the bit stands. A
 * table, made once for a key, has the sums for whole bytes.
 */

import { ArgumentRangeError } from '../errors.ts'
import { FrameKind, type FrameLayout } from './frame-layout.ts'

/** Length of the key: two IPv6 addresses, two ports, and the 32 bits that begin at their last bit. */
const KEY_BYTES = 40
const INPUT_BYTES = 36

/** Key of Microsoft's verification suite, whose hashes are published, and the default of many drivers. */
export const DEFAULT_RSS_KEY: Readonly<Uint8Array> = Uint8Array.of(
  ...[0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67],
  ...[0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb],
  ...[0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30],
  ...[0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa],
)

/** Share in the hash of each value of a byte, for each place in the input. */
export type ToeplitzTable = Readonly<Int32Array>

/**
 * Creates the table of a key, 36 KiB.
 *
 * @param key 40 bytes.
 * @throws NETMEM_OUT_OF_RANGE for another length.
 */
export function createToeplitzTable(key: Readonly<Uint8Array>): ToeplitzTable {
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
 * Returns the hash of the flow of a frame, as a signed 32-bit integer. It covers addresses and ports of
 * TCP and UDP, or the addresses of other IP packets and of fragments. It is 0 without IP.
 *
 * @param layout parsed headers of the frame at `frameOffset` of `bytes`.
 * @param ports false leaves out the ports.
 */
export function toeplitzHash(
  table: ToeplitzTable,
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
  ports = true,
): number {
  // The destination address follows the source address in both versions of IP.
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

/** Returns the 32 bits of the key from bit `from`, counted from the highest bit of the first byte. */
function keyBits(key: Readonly<Uint8Array>, from: number): number {
  let bits = 0
  for (let bit = from; bit < from + 32; bit++) {
    bits = (bits << 1) | (((key[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1)
  }
  return bits
}
