/** Messages between the thread of the cards and the one that has opened them. */

import type { NicStats } from '../../stack/rings/nic-types.ts'
import type { GvnicState } from '../gvnic.ts'

/** Cards to make, as their thread gets them. */
export interface CardThreadData {
  /** Eventfd that wakes the thread for a message. */
  readonly wake: number
  /** Sockets of the cards, two that are wired. */
  readonly sockets: readonly string[]
  readonly queues: number
  readonly mtu: number
  /** Faults of each direction. `undefined` without any. */
  readonly faults: { readonly seed: number; readonly loss: number } | undefined
}

/** A card as it is now. */
export interface CardLook {
  /** Place of the card's socket. */
  readonly socket: string
  /** Hardware address, such as `02:6e:6d:00:00:01`. */
  readonly mac: string
  /** True while a machine has the card. */
  readonly connected: boolean
  /** State of the card, as the machine's driver set it up. */
  readonly state: GvnicState
  /** Counters of the card. */
  readonly stats: NicStats
}

export type ToCards =
  | { readonly kind: 'close' }
  | { readonly kind: 'look' }
  | { readonly kind: 'link'; readonly up: boolean }

export type FromCards =
  | { readonly kind: 'open' }
  | { readonly kind: 'look'; readonly cards: readonly CardLook[] }
  | {
      readonly kind: 'refused'
      readonly socket: string
      readonly code: string
      readonly message: string
    }
