/** Settings of a network card that devmem needs, as prepareQueues() reads and changes them. */

import type { FlowMatch } from '../../wire/flow-rules.ts'
import type { FlowTarget } from '../flow-rules.ts'

/** Flow rule: which packets, and where they go. */
export interface CardRule {
  /** Packets that the rule is for. */
  readonly match: FlowMatch
  /** Queue or RSS context that takes them. */
  readonly target: FlowTarget
}

/** Rule that a card has. `rule` is undefined for rules of a kind that prepareQueues() never makes. */
export interface InstalledRule {
  readonly location: number
  readonly rule: CardRule | undefined
}

/** State of TCP header split: `unknown` where the driver decides. */
type TcpDataSplit = 'unknown' | 'disabled' | 'enabled'

/** Settings of the rings. A field is undefined where the driver has no such setting. */
export interface RingSettings {
  readonly tcpDataSplit?: TcpDataSplit | undefined
  /** Longest packet that is not split, in bytes. */
  readonly hdsThresh?: number | undefined
}

/** Interrupt of a queue. A field is undefined where the kernel does not say. */
export interface QueueInterrupt {
  /** Number of the interrupt. */
  readonly irq: number | undefined
  /** Processors that take the interrupt, as the kernel writes lists: `0-3,8`. */
  readonly affinity: string | undefined
}

/** True if two rules steer the same packets to the same place. */
export function sameRule(a: CardRule, b: CardRule): boolean {
  return (
    a.match.type === b.match.type &&
    a.match.sourceAddress === b.match.sourceAddress &&
    a.match.sourcePort === b.match.sourcePort &&
    a.match.destinationAddress === b.match.destinationAddress &&
    a.match.destinationPort === b.match.destinationPort &&
    sameTarget(a.target, b.target)
  )
}

function sameTarget(a: FlowTarget, b: FlowTarget): boolean {
  if ('queue' in a) return 'queue' in b && a.queue === b.queue
  return 'rssContext' in b && a.rssContext === b.rssContext
}
