/**
 * Settings of a network card that devmem needs, as prepareQueues() reads and changes them. The kernel's
 * ethtool interfaces are behind it, and in tests models of gve, bnxt and mlx5.
 */

/** TCP flow that ends at this machine. A part that is left out matches everything. */
export interface Flow {
  /** Version of IP. `ipv4` by default. */
  readonly family?: 'ipv4' | 'ipv6'
  /** Address of this machine. */
  readonly localAddress?: string
  /** Port of this machine: 1 to 65535. */
  readonly localPort?: number
  /** Address of the peer. */
  readonly remoteAddress?: string
  /** Port of the peer: 1 to 65535. */
  readonly remotePort?: number
}

/** Destination of a steering rule: one queue, or an RSS context over several. */
export type RuleTarget =
  | { readonly kind: 'queue'; readonly queue: number }
  | { readonly kind: 'context'; readonly context: number }

/** Steering rule for a TCP flow. */
export interface FlowRule {
  readonly flow: Flow
  readonly target: RuleTarget
}

/** Rule that a card has. `rule` is undefined for rules of a kind that prepareQueues() never makes. */
export interface InstalledRule {
  readonly location: number
  readonly rule: FlowRule | undefined
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
  insertRule(rule: FlowRule): Promise<number>
  deleteRule(location: number): Promise<void>
  interrupt(queue: number): Promise<QueueInterrupt>
  /** NUMA node of the card, or undefined where there is but one. */
  numaNode(): Promise<number | undefined>
}

/** True if two rules steer the same flow to the same place. */
export function sameRule(a: FlowRule, b: FlowRule): boolean {
  return (
    (a.flow.family ?? 'ipv4') === (b.flow.family ?? 'ipv4') &&
    a.flow.localAddress === b.flow.localAddress &&
    a.flow.localPort === b.flow.localPort &&
    a.flow.remoteAddress === b.flow.remoteAddress &&
    a.flow.remotePort === b.flow.remotePort &&
    sameTarget(a.target, b.target)
  )
}

function sameTarget(a: RuleTarget, b: RuleTarget): boolean {
  if (a.kind === 'queue') return b.kind === 'queue' && a.queue === b.queue
  return b.kind === 'context' && a.context === b.context
}
