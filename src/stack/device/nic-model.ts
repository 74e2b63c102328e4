/**
 * What the device's host needs of a NIC: the socket that `Nic` is plugged into. What crosses to it
 * from the stack's thread is plain data (structured-cloneable), which the NIC checks itself.
 */

import type { Link } from '../link/link.ts'
import type { NicCounters } from '../rings/nic-counters.ts'
import type { NicFeatures, NicSettings, RxQueueConfig, SteeringRule } from '../rings/nic-types.ts'
import type { RxFrontEnd } from '../rings/rx-front-end.ts'
import type { TxFrontEnd } from '../rings/tx-front-end.ts'
import type { DmaSpace } from './dma/dma-space.ts'

export interface NicModel {
  startQueue(queue: number, frontEnd: RxFrontEnd, config: RxQueueConfig): void
  /** When it returns, nothing is written to the queue's buffers any more. */
  stopQueue(queue: number): void
  startTxQueue(queue: number, frontEnd: TxFrontEnd): void
  stopTxQueue(queue: number): void
  /** Returns the rule's number. */
  addRule(rule: SteeringRule): number
  removeRule(id: number): void
  setRssTable(table: readonly number[]): void
  readonly rssTable: ArrayLike<number>
  /** Receives at most `budget` frames that have arrived by `nowNs` of the link's clock; how many. */
  receive(nowNs: number, budget: number): number
  /** Sends what drivers have posted; how many packets. */
  transmit(nowNs: number): number
  /** Whether it has a frame that waits for a buffer. */
  readonly paused: boolean
  readonly counters: NicCounters
  readonly features: NicFeatures
}

/** Makes a NIC; it sees to its link's frames, and its host closes the link. */
export type NicFactory = (parts: {
  readonly queues: number
  readonly dma: DmaSpace
  readonly link: Link
  readonly settings: NicSettings
}) => NicModel
