/**
 * Settings of a network card that devmem needs, as prepareQueues() reads and changes them. The kernel's
 * ethtool interfaces are behind it, and in tests models of gve, bnxt and mlx5.
 */

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

/** Settings of one card. Functions reject with a LinuxError that has the kernel's words. */
export interface CardControl {
  rings(): Promise<RingSettings>
  setRings(change: RingSettings): Promise<void>
  /** Resolves to the state of a feature, or to undefined for one that the card lacks. */
  feature(name: string): Promise<boolean | undefined>
  setFeature(name: string, on: boolean): Promise<void>
  /** Number of RX queues. */
  rxQueues(): Promise<number>
  /** Queues of the default RSS table, or undefined for a card without one. */
  table(): Promise<readonly number[] | undefined>
  /** Sets the default RSS table, or lets the driver fill it (`default`). */
  setTable(table: readonly number[] | 'default'): Promise<void>
  /** RSS contexts but the default one, each with its table. */
  contexts(): Promise<ReadonlyMap<number, readonly number[]>>
  /** Makes an RSS context, and resolves to its number, or to undefined if the card has no contexts. */
  createContext(table: readonly number[]): Promise<number | undefined>
  deleteContext(context: number): Promise<void>
  rules(): Promise<readonly InstalledRule[]>
  /** Adds a rule, and resolves to the location that it has. */
  insertRule(rule: CardRule): Promise<number>
  deleteRule(location: number): Promise<void>
  interrupt(queue: number): Promise<QueueInterrupt>
  /** NUMA node of the card, or undefined where there is but one. */
  numaNode(): Promise<number | undefined>
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
