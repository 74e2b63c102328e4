/** The NIC inside the card, and what the admin queue sets of it. */

import { isNetmemError } from '../errors.ts'
import type { NetworkCard } from '../stack/device/nic/network-card.ts'
import { RSS_TABLE_ENTRIES } from '../stack/rings/nic-types.ts'
import { DEFAULT_RSS_KEY } from '../wire/toeplitz.ts'
import type { GvnicFlowRule, RulesTarget } from './admin/flow-rules.ts'
import type { RssTarget } from './admin/rss.ts'

export class NicControl implements RssTarget, RulesTarget {
  readonly #nic: NetworkCard

  constructor(nic: NetworkCard) {
    this.#nic = nic
  }

  /** Sets the card's default key and table. */
  reset(): void {
    this.#nic.setRssKey(DEFAULT_RSS_KEY)
    const { rxQueues } = this.#nic.features
    this.#nic.setRssTable(Array.from({ length: RSS_TABLE_ENTRIES }, (_, at) => at % rxQueues))
  }

  get rssKey(): ArrayLike<number> {
    return this.#nic.rssKey
  }

  get rssTable(): ArrayLike<number> {
    return this.#nic.rssTable
  }

  setRssKey(key: Uint8Array): void {
    this.#nic.setRssKey(key)
  }

  setRssTable(table: readonly number[]): void {
    this.#nic.setRssTable(table)
  }

  setRule(location: number, rule: GvnicFlowRule): boolean {
    const { protocol, ipVersion, key, mask, queue } = rule
    const steering = {
      ...{ protocol, ipVersion, queue, location },
      destinationAddress: key.destination,
      destinationPort: key.destinationPort,
      source: { address: key.source, port: key.sourcePort },
      masks: {
        destinationAddress: mask.destination,
        destinationPort: mask.destinationPort,
        sourceAddress: mask.source,
        sourcePort: mask.sourcePort,
      },
    }
    try {
      this.#nic.addRule(steering)
      return true
    } catch (error) {
      // Queue and location are checked, so the NIC has a rule for the same packets.
      if (isNetmemError(error) && error.code === 'NETMEM_NIC_CONFIG') return false
      throw error
    }
  }

  removeRule(location: number): void {
    this.#nic.removeRule(location)
  }
}
