/** The Internet checksum (RFC 1071), and the pseudo-header that checksums of TCP and UDP include. */

import { getUint8, getUint16 } from './bytes.ts'

/** Folded sum of data that contains its own checksum, if the checksum is right. */
export const ALL_ONES = 0xffff

/** Words that add up to less than 2^31, so that the engine adds integers. */
const WORDS_AT_ONCE = 32_768

/** Adds the carries of a sum of 0 to 2^32 − 1 back to it: 16 bits remain, 0 only of 0. */
export function foldSum(sum: number): number {
  const folded = (sum & 0xffff) + (sum >>> 16)
  return (folded & 0xffff) + (folded >>> 16)
}

/**
 * Returns the one's complement sum of bytes as big-endian words, folded and not inverted. A last odd
 * byte is padded with zero.
 *
 * @param initial sum to continue with: 0 to 2^32 − 1.
 */
export function sumBytes(
  bytes: Uint8Array,
  offset: number,
  length: number,
  initial: number = 0,
): number {
  const end = offset + length
  const even = end - (length & 1)
  let sum = foldSum(initial)
  for (let at = offset; at < even; ) {
    const stop = Math.min(at + 2 * WORDS_AT_ONCE, even)
    let words = 0
    for (; at < stop; at += 2) words += getUint16(bytes, at)
    sum = foldSum(sum + words)
  }
  return even < end ? foldSum(sum + (getUint8(bytes, even) << 8)) : sum
}

/**
 * Returns the sum of the pseudo-header in front of TCP and UDP, folded and not inverted (RFC 9293,
 * 3.1; RFC 768; RFC 8200, 8.1).
 *
 * @param addressesAt place of the source address. The destination follows it in both versions.
 * @param addressBytes bytes of one address: 4 or 16.
 * @param protocol {@link IPPROTO_TCP} or {@link IPPROTO_UDP}.
 * @param l4Bytes bytes of the TCP or UDP header and its payload.
 */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  addressesAt: number,
  addressBytes: number,
  protocol: number,
  l4Bytes: number,
): number {
  let sum = protocol + l4Bytes
  const end = addressesAt + 2 * addressBytes
  for (let at = addressesAt; at < end; at += 2) sum += getUint16(bytes, at)
  return foldSum(sum)
}
