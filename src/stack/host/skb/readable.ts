/**
 * Functions that read a packet: copy, pull and checksum. They take `Skb<Page>`. An skb of net_iovs
 * does not compile, and fails with NETMEM_UNREADABLE in JavaScript.
 */

import { checkInteger } from '../../../errors.ts'
import { bytesOf, isPage, type Page } from '../../../netmem.ts'
import { foldSum, sumBytes } from '../../../wire/checksum.ts'
import { DeviceError } from '../../device-error.ts'
import { type AnySkb, freedAlready, type Skb } from './skb.ts'

/**
 * Copies payload from its byte `offset` on into `target`.
 *
 * @returns Bytes copied: fewer than `target` has where the payload ends before.
 * @throws NETMEM_UNREADABLE (EFAULT), NETMEM_SKB_FREED and NETMEM_OUT_OF_RANGE.
 */
export function copyBits(skb: Skb<Page>, offset: number, target: Uint8Array): number {
  checkReadable(skb)
  checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER)
  return copyPayload(skb, offset, target, 0, target.length)
}

/**
 * @internal Copies at most `length` bytes of payload to byte `at` of `target`, which has room for them.
 * Ends before the first frag of device memory. Returns how many were copied.
 */
export function copyPayload(
  skb: AnySkb,
  offset: number,
  target: Uint8Array,
  at: number,
  length: number,
): number {
  const linear = skb.headLength - skb.payloadOffset
  let skip = offset
  let copied = 0
  if (skip < linear) {
    copied = Math.min(linear - skip, length)
    const from = skb.payloadOffset + skip
    target.set(skb.head.subarray(from, from + copied), at)
    skip = 0
  } else {
    skip -= linear
  }
  for (let frag = 0; frag < skb.fragCount && copied < length; frag++) {
    const bytes = (skb.lengths[frag] ?? 0) - skip
    if (bytes <= 0) {
      skip = -bytes
      continue
    }
    const page = skb.frags[frag]
    if (page === undefined || !isPage(page)) break
    const take = Math.min(bytes, length - copied)
    const from = (skb.offsets[frag] ?? 0) + skip
    target.set(part(bytesOf(page), from, take), at + copied)
    copied += take
    skip = 0
  }
  return copied
}

/**
 * The part of each page that was copied last. A NIC writes to the same places again and again, and a kept
 * view saves the only garbage of a copy.
 */
const parts = new WeakMap<Uint8Array, Uint8Array>()

function part(page: Uint8Array, from: number, length: number): Uint8Array {
  const known = parts.get(page)
  if (
    known !== undefined &&
    known.byteOffset - page.byteOffset === from &&
    known.length === length
  ) {
    return known
  }
  const made = page.subarray(from, from + length)
  parts.set(page, made)
  return made
}

/**
 * Moves the first `bytes` bytes of the frags to the end of the linear bytes, where headers can be
 * parsed (Linux, __pskb_pull_tail).
 *
 * @returns False, and nothing changed, if the frags have fewer bytes or the linear bytes have no room.
 * @throws NETMEM_UNREADABLE (EFAULT), NETMEM_SKB_FREED and NETMEM_OUT_OF_RANGE.
 */
export function pull(skb: Skb<Page>, bytes: number): boolean {
  checkReadable(skb)
  checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER)
  if (bytes > skb.dataLength || skb.headLength + bytes > skb.head.length) return false
  const linear = skb.headLength - skb.payloadOffset
  copyPayload(skb, linear, skb.head, skb.headLength, bytes)
  skb.headLength += bytes
  skb.trimFrags(bytes)
  return true
}

/**
 * Returns the one's complement sum of `length` bytes from the skb's byte `offset` on, headers included
 * (RFC 1071). It is a sum of big-endian words, folded to 16 bits and not inverted, and ends with the skb.
 *
 * @param initial Sum to continue, such as that of the pseudo-header.
 * @throws NETMEM_UNREADABLE (EFAULT), NETMEM_SKB_FREED and NETMEM_OUT_OF_RANGE.
 */
export function checksumOf(
  skb: Skb<Page>,
  offset: number,
  length: number,
  initial: number = 0,
): number {
  checkReadable(skb)
  checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER)
  checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER)
  const end = offset + length
  let sum = foldSum(initial)
  // Offset of the piece in the skb. The bytes of a piece at an odd offset are swapped.
  let at = 0
  for (let piece = -1; piece < skb.fragCount && at < end; piece++) {
    const page = piece < 0 ? undefined : skb.frags[piece]
    const bytes = page === undefined ? skb.head : bytesOf(page)
    const begin = piece < 0 ? 0 : (skb.offsets[piece] ?? 0)
    const pieceLength = piece < 0 ? skb.headLength : (skb.lengths[piece] ?? 0)
    const from = Math.max(offset - at, 0)
    const to = Math.min(end - at, pieceLength)
    if (from < to) {
      const pieceSum = sumBytes(bytes, begin + from, to - from)
      const isOdd = ((at + from - offset) & 1) === 1
      sum = foldSum(sum + (isOdd ? swapBytes(pieceSum) : pieceSum))
    }
    at += pieceLength
  }
  return sum
}

function swapBytes(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8)
}

function checkReadable(skb: Skb<Page>): void {
  if (skb.kind !== 'page') throw unreadable()
  if (skb.freed) throw freedAlready()
}

/** @internal */
export function unreadable(): DeviceError {
  return new DeviceError(
    'NETMEM_UNREADABLE',
    'EFAULT',
    'The payload is device memory, which this host cannot read. Ask for its kind, and receive it with MSG_SOCK_DEVMEM.',
  )
}
