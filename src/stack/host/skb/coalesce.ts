/** One skb out of two neighbours of a stream (Linux, skb_try_coalesce). */

import type { Netmem } from '../../../netmem.ts'
import { freedAlready, MAX_SKB_FRAGS, mixed, type Skb } from './skb.ts'

/**
 * Appends the payload of `from` to `to`: its frags change hands, and neighbouring bytes of one
 * netmem become one frag. `from` is gone then. False, and nothing changed, where its frags do not
 * fit, its linear payload would end up behind frags or has no room, or they are of two pools.
 * Throws NETMEM_WRONG_KIND and NETMEM_SKB_FREED, before anything is changed.
 */
export function coalesce<M extends Netmem>(to: Skb<M>, from: Skb<M>): boolean {
  if (to.kind !== from.kind) throw mixed()
  if (to.freed || from.freed) throw freedAlready()
  if (to === from || to.owner !== from.owner || to.places !== from.places) return false
  const linear = from.headLength - from.payloadOffset
  if (linear > 0 && (to.dataLength > 0 || to.headLength + linear > to.head.length)) return false
  const merges = continues(to, from)
  if (to.fragCount + from.fragCount - (merges ? 1 : 0) > MAX_SKB_FRAGS) return false
  if (linear > 0) {
    to.head.set(from.head.subarray(from.payloadOffset, from.headLength), to.headLength)
    to.headLength += linear
  }
  if (merges) mergeFirst(to, from)
  for (let at = merges ? 1 : 0; at < from.fragCount; at++) {
    const m = from.frags[at]
    if (m === undefined) continue
    to.addFrag(m, from.takeFrag(at), from.offsets[at] ?? 0, from.lengths[at] ?? 0)
  }
  to.segments += from.segments
  to.checksumVerified &&= from.checksumVerified
  to.checksumBad ||= from.checksumBad
  from.reuse()
  return true
}

/** Whether the first frag of `from` goes on in the same netmem where the last of `to` ends. */
export function continues<M extends Netmem>(to: Skb<M>, from: Skb<M>): boolean {
  const last = to.fragCount - 1
  return (
    last >= 0 &&
    from.fragCount > 0 &&
    to.frags[last] === from.frags[0] &&
    (to.offsets[last] ?? 0) + (to.lengths[last] ?? 0) === from.offsets[0]
  )
}

function mergeFirst<M extends Netmem>(to: Skb<M>, from: Skb<M>): void {
  const last = to.fragCount - 1
  const bytes = from.lengths[0] ?? 0
  to.lengths[last] = (to.lengths[last] ?? 0) + bytes
  to.dataLength += bytes
  const m = from.frags[0]
  // One reference is enough for both; the other frag's keeps the netmem out.
  if (m !== undefined) from.owner.putFrag(m, from.takeFrag(0))
}
