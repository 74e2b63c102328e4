// Models of cards: what gve, bnxt and mlx5 answer, as their sources of Linux 7.3 say
// (drivers/net/ethernet/{google/gve,broadcom/bnxt,mellanox/mlx5}), behind the kernel's own checks
// (net/ethtool). Each call that changes something is recorded.
import { LinuxError } from '../sys/index.ts'
import type { CardRule, InstalledRule, QueueInterrupt, RingSettings } from './card-settings.ts'
import type { CardControl } from './ethtool-card.ts'

/** Properties of a driver. */
export interface CardModel {
  readonly name: string
  readonly queues: number
  readonly tableSize: number | undefined
  readonly contexts: boolean
  /** Driver has ETHTOOL_RING_USE_HDS_THRS. */
  readonly hdsThresh: number | undefined
  /** Split as the driver reports it before anything is configured. */
  readonly splitAtFirst: 'unknown' | 'disabled' | 'enabled' | undefined
  /** bnxt: `disabled` is refused where it would be a change. */
  readonly refusesDisabled: boolean
  /** mlx5: split needs hardware GRO. */
  readonly splitNeedsGro: boolean
  /** Features that can be changed, and whether they are on. */
  readonly features: Readonly<Record<string, boolean>>
}

/** Changes that a card is asked for, to prepare queues and to undo that. */
export interface CardExchange {
  readonly model: CardModel
  readonly queues: readonly number[]
  readonly set: readonly string[]
  readonly undone: readonly string[]
}

export const GVE: CardModel = {
  name: 'gve',
  queues: 4,
  tableSize: 128,
  contexts: false,
  hdsThresh: undefined,
  splitAtFirst: 'disabled',
  refusesDisabled: false,
  splitNeedsGro: false,
  features: { 'rx-ntuple-filter': false, 'rx-gro-hw': false },
}

export const BNXT: CardModel = {
  name: 'bnxt',
  queues: 8,
  tableSize: 512,
  contexts: true,
  hdsThresh: 256,
  splitAtFirst: 'disabled',
  refusesDisabled: true,
  splitNeedsGro: false,
  features: { 'rx-ntuple-filter': true, 'rx-gro-hw': true },
}

export const MLX5: CardModel = {
  name: 'mlx5',
  queues: 8,
  tableSize: 256,
  contexts: true,
  hdsThresh: 0,
  splitAtFirst: 'disabled',
  refusesDisabled: false,
  splitNeedsGro: true,
  features: { 'rx-ntuple-filter': false, 'rx-gro-hw': false },
}

function refusal(errno: 'EINVAL' | 'ENODEV' | 'EOPNOTSUPP' | 'EPERM', words: string): LinuxError {
  return new LinuxError('NETMEM_SYSCALL_FAILED', words, { errno, syscall: 'ethtool' })
}

export class ModelCard implements CardControl {
  readonly changes: string[] = []
  /** Name of the change that is refused, or that the process does not survive. */
  failAt:
    | { readonly change: string; readonly how: 'refused' | 'killed before' | 'killed after' }
    | undefined
  bound = false
  /** The interface is not there any more. */
  gone = false
  /** Called when the process is killed. */
  onKilled = (): void => undefined
  #dead = false
  readonly #model: CardModel
  #split: RingSettings['tcpDataSplit']
  #thresh: number | undefined
  readonly #features: Map<string, boolean>
  #table: number[] | undefined
  readonly #contexts = new Map<number, number[]>()
  readonly #rules = new Map<number, CardRule>()
  #nextContext = 1

  constructor(model: CardModel) {
    this.#model = model
    this.#split = model.splitAtFirst
    this.#thresh = model.hdsThresh
    this.#features = new Map(Object.entries(model.features))
    if (model.tableSize !== undefined) {
      this.#table = Array.from({ length: model.tableSize }, (_, index) => index % model.queues)
    }
  }

  /** Another process comes, to which nothing happens. */
  restart(): void {
    this.failAt = undefined
    this.#dead = false
  }

  /** Everything that prepareQueues() may have changed. */
  get state(): object {
    return {
      // bnxt reports what it chooses, so `unknown` and `disabled` look the same from outside.
      split: this.#split === 'unknown' ? this.#model.splitAtFirst : this.#split,
      thresh: this.#thresh,
      features: [...this.#features],
      table: this.#table,
      contexts: [...this.#contexts],
      rules: [...this.#rules],
    }
  }

  async rings(): Promise<RingSettings> {
    const split = this.#split === 'unknown' ? this.#model.splitAtFirst : this.#split
    return { tcpDataSplit: split, hdsThresh: this.#thresh }
  }

  async setRings({ tcpDataSplit, hdsThresh }: RingSettings): Promise<void> {
    const parts = [tcpDataSplit ?? '', hdsThresh === undefined ? '' : `thresh ${hdsThresh}`]
    this.#change(`rings ${parts.join(' ').trim()}`, () => {
      if (hdsThresh !== undefined && this.#model.hdsThresh === undefined) {
        throw refusal('EOPNOTSUPP', 'setting not supported: hds-thresh')
      }
      if (this.bound && tcpDataSplit !== undefined && tcpDataSplit !== 'enabled') {
        throw refusal(
          'EINVAL',
          "can't disable tcp-data-split while device has memory provider enabled",
        )
      }
      if (
        tcpDataSplit === 'enabled' &&
        this.#model.splitNeedsGro &&
        !this.#features.get('rx-gro-hw')
      ) {
        throw refusal('EINVAL', 'TCP-data-split is not supported when GRO HW is disabled')
      }
      if (tcpDataSplit === 'disabled' && this.#model.refusesDisabled) {
        throw refusal('EINVAL', 'Invalid argument')
      }
      if (tcpDataSplit !== undefined) this.#split = tcpDataSplit
      if (hdsThresh !== undefined) this.#thresh = hdsThresh
    })
  }

  async feature(name: string): Promise<boolean | undefined> {
    return this.#features.get(name)
  }

  async setFeature(name: string, on: boolean): Promise<void> {
    this.#change(`${name} ${on ? 'on' : 'off'}`, () => {
      this.#features.set(name, on)
      if (name === 'rx-ntuple-filter' && !on) this.#rules.clear()
    })
  }

  async rxQueues(): Promise<number> {
    return this.#model.queues
  }

  async table(): Promise<readonly number[] | undefined> {
    return this.#table
  }

  async setTable(table: readonly number[] | 'default'): Promise<void> {
    const { queues, tableSize = 0 } = this.#model
    const name = table === 'default' ? 'default' : [...new Set(table)].join()
    this.#change(`table ${name}`, () => {
      this.#table =
        table === 'default'
          ? Array.from({ length: tableSize }, (_, index) => index % queues)
          : [...table]
    })
  }

  async contexts(): Promise<ReadonlyMap<number, readonly number[]>> {
    return this.#contexts
  }

  async createContext(table: readonly number[]): Promise<number | undefined> {
    if (!this.#model.contexts) return undefined
    const context = this.#nextContext++
    this.#change(`context over ${[...new Set(table)].join()}`, () => {
      this.#contexts.set(context, [...table])
    })
    return context
  }

  async deleteContext(context: number): Promise<void> {
    this.#change(`context ${context} deleted`, () => this.#contexts.delete(context))
  }

  async rules(): Promise<readonly InstalledRule[]> {
    return [...this.#rules].map(([location, rule]) => ({ location, rule }))
  }

  async insertRule(rule: CardRule): Promise<number> {
    let location = 63
    while (this.#rules.has(location)) location--
    this.insertNow(rule, location)
    return location
  }

  /** The same without a promise, for the ioctl. */
  insertNow(rule: CardRule, location: number): void {
    const { target } = rule
    const to = 'queue' in target ? `queue ${target.queue}` : `context ${target.rssContext}`
    this.#change(`rule for ${rule.match.destinationPort} to ${to}`, () => {
      if (this.#features.get('rx-ntuple-filter') !== true) {
        throw refusal('EOPNOTSUPP', 'Operation not supported')
      }
      this.#rules.set(location, structuredClone(rule))
    })
  }

  async deleteRule(location: number): Promise<void> {
    this.deleteNow(location)
  }

  /** Rules by location. */
  get rulesNow(): ReadonlyMap<number, CardRule> {
    return this.#rules
  }

  deleteNow(location: number): void {
    this.#change(`rule ${location} deleted`, () => this.#rules.delete(location))
  }

  async interrupt(queue: number): Promise<QueueInterrupt> {
    return { irq: 100 + queue, affinity: `${queue}` }
  }

  async numaNode(): Promise<number | undefined> {
    return 1
  }

  #change(name: string, make: () => void): void {
    if (this.gone) throw refusal('ENODEV', 'No such device')
    const fault = this.failAt?.change === name ? this.failAt.how : undefined
    if (fault === 'refused') throw refusal('EPERM', 'Operation not permitted')
    if (fault === 'killed before') this.#kill()
    if (this.#dead) throw new Killed()
    make()
    this.changes.push(name)
    if (fault !== 'killed after') return
    this.#kill()
    throw new Killed()
  }

  #kill(): void {
    this.#dead = true
    this.onKilled()
  }
}

/** The process was killed: it changes nothing any more. */
export class Killed extends Error {}
