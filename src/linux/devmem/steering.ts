/** Rules that steer flows to the queues of a card: those it is prepared with, and later ones. */

import type { FlowMatch } from '../../wire/flow-rules.ts'
import type { FlowTarget } from '../flow-rules.ts'
import { LinuxError } from '../sys/index.ts'
import type { CardRule } from './card-settings.ts'
import type { CardControl } from './ethtool-card.ts'
import type { UndoJournal } from './undo-journal.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_NO_STEERING: 'LinuxError'
  }
}

/** Feature of ethtool that turns flow rules on. */
const NTUPLE = 'rx-ntuple-filter'

/** Flow that is to reach the queues. */
export type SteeredFlow = FlowMatch & {
  /**
   * One of the queues, for threads that serve a queue each. By default the RSS context over all of them,
   * and where the card has no contexts the queues in turn.
   */
  readonly queue?: number
}

/** Rule that is set up, with its location in the card. */
export interface PreparedRule extends CardRule {
  /** Place in the card's table. */
  readonly location: number
}

export class FlowSteering {
  readonly #card: CardControl
  readonly #journal: UndoJournal
  readonly #queues: readonly number[]
  readonly #context: number | undefined
  #flows = 0
  /** Ends when the last change so far is made: the journal notes one change at a time. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    card: CardControl,
    journal: UndoJournal,
    queues: readonly number[],
    context: number | undefined,
  ) {
    this.#card = card
    this.#journal = journal
    this.#queues = queues
    this.#context = context
  }

  /** Adds a rule for a flow. */
  add({ queue, ...match }: SteeredFlow): Promise<PreparedRule> {
    const rule = { match, target: this.#targetOf(queue) }
    return this.#inTurn(async () => {
      await turnRulesOn(this.#card, this.#journal)
      const before = (await this.#card.rules()).map(({ location }) => location)
      this.#journal.add({ kind: 'rule', rule, before })
      try {
        const location = await this.#card.insertRule(rule)
        this.#journal.replaceLast({ kind: 'rule', location, rule, before })
        return { ...rule, location }
      } catch (error) {
        this.#journal.dropLast()
        throw error
      }
    })
  }

  /** Deletes a rule that was added. One that is gone is left alone. */
  delete({ location }: PreparedRule): Promise<void> {
    return this.#inTurn(async () => {
      const isIts = (step: UndoJournal['steps'][number]): boolean =>
        step.kind === 'rule' && step.location === location
      if (!this.#journal.steps.some(isIts)) return
      await this.#card.deleteRule(location)
      this.#journal.keep(this.#journal.steps.filter((step) => !isIts(step)))
    })
  }

  /** Resolves when the changes that were asked for are made. */
  async settled(): Promise<void> {
    await this.#last
  }

  #targetOf(queue: number | undefined): FlowTarget {
    if (queue !== undefined) return { queue }
    if (this.#context !== undefined) return { rssContext: this.#context }
    return { queue: this.#queues[this.#flows++ % this.#queues.length] ?? 0 }
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#last.then(change)
    this.#last = changed.catch(() => undefined)
    return changed
  }
}

/** Turns flow rules on. */
export async function turnRulesOn(card: CardControl, journal: UndoJournal): Promise<void> {
  const on = await card.feature(NTUPLE)
  if (on === true) return
  if (on === undefined) {
    throw new LinuxError(
      'NETMEM_DEVMEM_NO_STEERING',
      'The driver has no flow rules (ntuple filters), so it cannot steer flows to chosen queues. Leave out `flows`.',
    )
  }
  await turnFeatureOn(card, journal, NTUPLE)
}

/** Turns a feature on. */
export async function turnFeatureOn(
  card: CardControl,
  journal: UndoJournal,
  name: string,
): Promise<void> {
  journal.add({ kind: 'feature', name, on: false })
  await card.setFeature(name, true)
}
