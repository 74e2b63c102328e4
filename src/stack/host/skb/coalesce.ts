/** One skb out of two neighbours of a stream (Linux, skb_try_coalesce). */

import type { Netmem } from '../../../netmem.ts'
import { freedAlready, MAX_SKB_FRAGS, mixed, type Skb } from './skb.ts'

/**
 * Appends the payload of `from` to `to` and frees `from`: its frags change hands, and neighbouring
 * bytes of one netmem become one frag.
 *
 * @returns False, and nothing changed, where the frags do not fit, or where the linear payload has no
 *   room or would end up behind frags.
 * @throws NETMEM_WRONG_KIND and NETMEM_SKB_FREED, before anything is changed.
 */
export function coalesce<M extends Netmem>(to: Skb<M>, from: Skb<M>): boolean {
  if (to.kind !== from.kind) throw mixed()
  if (to.freed || from.freed) throw freedAlready()
  if (to === from) return false
  const linear = from.headLength - from.payloadOffset
  if (linear > 0 && (to.dataLength > 0 || to.headLength + linear > to.head.length)) return false
  const first = continues(to, from) ? 1 : 0
  if (to.fragCount + from.fragCount - first > MAX_SKB_FRAGS) return false
  if (linear > 0) {
    to.head.set(from.head.subarray(from.payloadOffset, from.headLength), to.headLength)
    to.headLength += linear
  }
  if (first === 1) {
    // One reference is enough for both ranges: freeing `from` gives its own back.
    const last = to.fragCount - 1
    const bytes = from.lengths[0] ?? 0
    to.lengths[last] = (to.lengths[last] ?? 0) + bytes
    to.dataLength += bytes
  }
  for (let at = first; at < from.fragCount; at++) {
    to.addFrag(from.takeFrag(at), from.offsets[at] ?? 0, from.lengths[at] ?? 0)
  }
  to.segments += from.segments
  to.checksumVerified &&= from.checksumVerified
  to.checksumBad ||= from.checksumBad
  from.free()
  return true
}

/** True if the first frag of `from` begins where the last frag of `to` ends, in the same netmem. */
export function continues<M extends Netmem>(to: Skb<M>, from: Skb<M>): boolean {
  const last = to.fragCount - 1
  return (
    last >= 0 &&
    from.fragCount > 0 &&
    to.frags[last] === from.frags[0] &&
    (to.offsets[last] ?? 0) + (to.lengths[last] ?? 0) === from.offsets[0]
  )
}
