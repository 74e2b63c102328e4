/**
 * Interface of a NIC inside its device. `NetworkCard` implements it, and so may a NIC under test.
 *
 * Arguments that come from the stack's thread are plain data, which the NIC checks itself.
 */

import type { Link } from '../link/link.ts'
import type { NicCounters } from '../rings/nic-counters.ts'
import type { NicFeatures, NicSettings, RxQueueConfig, SteeringRule } from '../rings/nic-types.ts'
import type { RxFrontEnd } from '../rings/rx-front-end.ts'
import type { TxFrontEnd } from '../rings/tx-front-end.ts'
import type { DmaSpace } from './dma/dma-space.ts'

export interface NicModel {
  startQueue(queue: number, frontEnd: RxFrontEnd, config: RxQueueConfig): void
  /** Stops a receive queue. Nothing is written to its buffers afterwards. */
  stopQueue(queue: number): void
  startTxQueue(queue: number, frontEnd: TxFrontEnd): void
  stopTxQueue(queue: number): void
  /** Adds a rule and returns its number. */
  addRule(rule: SteeringRule): number
  removeRule(id: number): void
  setRssTable(table: readonly number[]): void
  readonly rssTable: ArrayLike<number>
  setRssKey(key: Uint8Array): void
  readonly rssKey: Uint8Array
  /**
   * Receives at most `budget` frames that have arrived by `nowNs` of the link's clock. Returns
   * their number.
   */
  receive(nowNs: number, budget: number): number
  /** Sends the packets that drivers have posted. Returns their number. */
  transmit(nowNs: number): number
  /** True while a frame waits for a buffer. */
  readonly paused: boolean
  readonly counters: NicCounters
  readonly features: NicFeatures
}

/** Makes a NIC, which receives from its link. The caller closes the link. */
export type NicFactory = (parts: {
  readonly queues: number
  readonly dma: DmaSpace
  readonly link: Link
  readonly settings: NicSettings
}) => NicModel
