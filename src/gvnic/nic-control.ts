/** The NIC inside the card, and what the admin queue sets of it. */

import type { NetworkCard } from '../stack/device/nic/network-card.ts'
import { DEFAULT_RSS_KEY } from '../wire/toeplitz.ts'
import { RSS_TABLE_ENTRIES } from './admin/describe-device.ts'
import type { GvnicFlowRule, RulesTarget } from './admin/flow-rules.ts'
import type { RssTarget } from './admin/rss.ts'

export class NicControl implements RssTarget, RulesTarget {
  readonly #nic: NetworkCard
  readonly #rules = new Map<number, number>()
  #key: ArrayLike<number> = DEFAULT_RSS_KEY

  constructor(nic: NetworkCard) {
    this.#nic = nic
  }

  /** Sets the key and the table that the card has of its own. */
  reset(): void {
    this.#key = DEFAULT_RSS_KEY
    const { rxQueues } = this.#nic.features
    this.#nic.setRssTable(Array.from({ length: RSS_TABLE_ENTRIES }, (_, at) => at % rxQueues))
  }

  get rssKey(): ArrayLike<number> {
    return this.#key
  }

  get rssTable(): ArrayLike<number> {
    return this.#nic.rssTable
  }

  setRssKey(key: Uint8Array): void {
    this.#key = key
  }

  setRssTable(table: readonly number[]): void {
    this.#nic.setRssTable(table)
  }

  setRule(location: number, rule: GvnicFlowRule): void {
    const { protocol, key, mask, queue } = rule
    const from = { address: key.source, port: key.sourcePort }
    const added = this.#nic.addRule({
      protocol,
      destinationAddress: key.destination,
      destinationPort: key.destinationPort,
      ...(mask.sourcePort !== 0 && { source: from }),
      queue,
    })
    this.#rules.set(location, added)
  }

  removeRule(location: number): void {
    const added = this.#rules.get(location)
    this.#rules.delete(location)
    if (added !== undefined) this.#nic.removeRule(added)
  }
}
