/** Messages between the thread of the cards and the one that has opened them. */

import type { DeviceFailure } from '../../stack/rings/device-failure.ts'
import type { NicStats } from '../../stack/rings/nic-types.ts'
import type { GvnicState } from '../gvnic.ts'

/** Link of a single card. */
export type CardLink =
  | {
      /** A TAP interface of the kernel: see `createTapLink()` of `netmem/stack/link`. */
      readonly kind: 'tap'
      /** Name of the interface, 1 to 15 bytes. One that does not exist is made, and goes with the card. */
      readonly name: string
    }
  | {
      /** A pcap or pcapng file, whose frames the card receives at their captured times. */
      readonly kind: 'capture'
      /** Path of the file. */
      readonly path: string
    }

/** Cards to make, as their thread gets them. */
export interface CardThreadData {
  /** Eventfd that wakes the thread for a message. */
  readonly wake: number
  /** Sockets of the cards: one, or two that are wired. */
  readonly sockets: readonly string[]
  readonly link: CardLink | { readonly kind: 'pair' }
  readonly queues: number
  /** `undefined` for the link's MTU. */
  readonly mtu: number | undefined
  /** Faults of each direction. `undefined` without any. */
  readonly faults: { readonly seed: number; readonly loss: number } | undefined
  /** File for the frames of the first card. `undefined` without one. */
  readonly capture: string | undefined
}

/** Link of a card as it is now. */
export type LinkLook =
  | {
      /** The link leads to the other card. */
      readonly kind: 'pair'
    }
  | {
      /** The link is a TAP interface. */
      readonly kind: 'tap'
      /** Name of the interface. */
      readonly name: string
      /** MTU of the interface when it was opened. */
      readonly mtu: number
      /** The kernel's reason not to hand over large frames. `undefined` if it does, or was not asked. */
      readonly offloadRefusal: string | undefined
    }
  | {
      /** The link plays a capture. */
      readonly kind: 'capture'
      /** Path of the file. */
      readonly path: string
      /** True once all of its frames have been played. */
      readonly ended: boolean
    }

/** A card as it is now. */
export interface CardLook {
  /** Place of the card's socket. */
  readonly socket: string
  /** Hardware address, such as `02:6e:6d:00:00:01`. That of a card by itself follows from its socket. */
  readonly mac: string
  /** MTU that the guest's interface starts with. */
  readonly mtu: number
  /** Link of the card. */
  readonly link: LinkLook
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
  /** The cards cannot be made. */
  | { readonly kind: 'failed'; readonly failure: DeviceFailure }
  | { readonly kind: 'look'; readonly cards: readonly CardLook[] }
  /** A machine could not have a card, or the link of a card has failed. */
  | {
      readonly kind: 'fault'
      readonly socket: string
      readonly code: string
      readonly message: string
    }
