/**
 * Leak reports of frags in device memory. The frags of one receive share a `TokenGroup`. When the
 * collector finds the group, all of its frags are gone. Frags that were not released keep their memory
 * from the card. One registry entry for each frag would cost as much as the frag.
 */

import { publish } from '../../../pool/leaks.ts'
import type { BindingUse } from './binding-use.ts'
import type { TokenReturns } from './token-returns.ts'

/** Frags in device memory were collected without `release()`. Their memory stays out of the binding. */
export interface DeviceLeakReport {
  /** Tells it from the reports of pages and descriptors. */
  readonly kind: 'device frag'
  /** Number of frags that were dropped. */
  readonly frags: number
  /** The kernel's number of the binding. */
  readonly binding: number
  /** Label of the peer, such as `tcp 192.0.2.7:40000`. */
  readonly label: string
  /** The application's frames that received the frag, if the connection's pool has `traceLeaks`. */
  readonly stack: string | undefined
}

/** Record of a group that outlives it, for the report of its leak. */
interface GroupRecord {
  /** Frags that were not released. */
  out: number
  readonly binding: number
  readonly label: string
  stack: string | undefined
}

const collected = new FinalizationRegistry<GroupRecord>(({ out, binding, label, stack }) => {
  if (out === 0) return
  const report: DeviceLeakReport = { kind: 'device frag', frags: out, binding, label, stack }
  const what = out === 1 ? 'A frag in device memory was' : `${out} frags in device memory were`
  const origin =
    stack === undefined
      ? ' Make the pool of the connection with { traceLeaks: true } to learn where.'
      : ` at\n${stack}`
  publish(
    'netmem:leak',
    report,
    `${what} dropped without release(): the memory stays out of binding ${binding}. Received from ${label}${stack === undefined ? '.' : ''}${origin}`,
  )
})

/** Held only by the frags of one receive, or by a single frag with `traceLeaks`. */
export class TokenGroup {
  readonly use: BindingUse
  readonly returns: TokenReturns
  readonly record: GroupRecord

  constructor(use: BindingUse, returns: TokenReturns, label: string) {
    this.use = use
    this.returns = returns
    this.record = { out: 0, binding: use.binding.id, label, stack: undefined }
    collected.register(this, this.record)
  }
}
