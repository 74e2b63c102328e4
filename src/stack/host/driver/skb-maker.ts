/** Makers of skbs: the place where a driver says which memory it handles. */

import type { Netmem } from '../../../netmem.ts'

/** Fields of an skb that do not depend on the kind of its frags. */
export interface Packet {
  readonly head: Uint8Array
  readonly headView: DataView
  headLength: number
  payloadOffset: number
  queue: number
  hash: number
  checksumVerified: boolean
  checksumBad: boolean
  segments: number
  free(): void
}

/** Makes skbs of the memory that one queue receives into. */
export interface SkbMaker<in out M extends Netmem, S extends Packet> {
  /** Returns an empty skb for memory like `m`, or for linear bytes alone without it. */
  readonly begin: (m: M | undefined) => S
  /** Adds a frag and takes over its reference. Returns false if the skb has no place for it. */
  readonly add: (skb: S, m: M, offset: number, length: number) => boolean
  /** Hands a packet up the stack. */
  readonly deliver: (skb: S) => void
}
