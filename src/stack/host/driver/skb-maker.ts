/** Makers of skbs: the place where a driver says which memory it handles. */

import type { Netmem } from '../../../netmem.ts'

/** Fields of an skb that do not depend on the kind of its frags. */
export interface Packet {
  /** Memory of the linear bytes. */
  readonly head: Uint8Array
  /** The same memory, for copies word by word. */
  readonly headView: DataView
  /** Linear bytes of the packet. */
  headLength: number
  /** Offset in the linear bytes at which payload begins. */
  payloadOffset: number
  /** RX queue that received it. */
  queue: number
  /** RSS hash, as signed 32-bit. 0 without one. */
  hash: number
  /** True if the NIC has verified the checksums. */
  checksumVerified: boolean
  /** True if the NIC has found a wrong checksum. */
  checksumBad: boolean
  /** TCP segments in it. */
  segments: number
  /** Frees the packet and its memory. */
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
