/**
 * Finds the flow of a packet. A hash table of numbers with open addressing and keys in one array:
 * finding a flow makes no garbage and compares ten words. Its hash has a secret, since senders choose
 * the keys.
 */

import { checkInteger } from '../../../errors.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import type { AnySkb } from '../skb/skb.ts'
import { flowHash, type HashSecret, randomSecret } from './flow-hash.ts'
import { FlowKey, KEY_WORDS, sameWords } from './flow-key.ts'

/** Slots per flow. A table that is at most half full is searched in few steps. */
const SPARE = 2
/** Flows that a new table has room for. It grows. */
const FIRST_FLOWS = 64

/** Counters of a {@link FlowTable}. */
export interface FlowTableStats {
  /** Packets of a flow. */
  readonly matched: number
  /** Packets other than TCP and UDP, such as ARP and IP fragments. */
  readonly other_packets: number
  /** Packets with contradictory or truncated headers. */
  readonly malformed: number
  /** TCP and UDP packets with a wrong checksum. */
  readonly csum_bad: number
  /** Packets of flows that the table had no room for. */
  readonly table_full: number
  /** Bytes of Ethernet padding and trailers that were cut off. */
  readonly padding_bytes: number
}

/** Table of flows, found by the headers of a packet. `F` is the application's own type of a flow. */
export class FlowTable<F> {
  /** Layout of the last packet that {@link FlowTable.demux} parsed. */
  readonly layout: FrameLayout = new FrameLayout()
  /** Key of that packet if it is TCP or UDP. The next packet overwrites it. */
  readonly key: FlowKey = new FlowKey()
  readonly #limit: number
  readonly #make: (key: FlowKey) => F
  readonly #secret: HashSecret
  #mask = 0
  #keys = new Int32Array(0)
  #hashes = new Int32Array(0)
  #flows: (F | undefined)[] = []
  #size = 0
  readonly #counters = {
    matched: 0,
    other_packets: 0,
    malformed: 0,
    csum_bad: 0,
    table_full: 0,
    padding_bytes: 0,
  }

  /**
   * @param make Makes the flow of a new key, which is a copy to keep.
   * @param limit Largest number of flows: 1 to 2^24. Default 65536.
   * @param secret Secret of the hash, for tests. Default random.
   * @throws NETMEM_OUT_OF_RANGE for `limit`.
   */
  constructor(
    make: (key: FlowKey) => F,
    limit: number = 65536,
    secret: HashSecret = randomSecret(),
  ) {
    this.#make = make
    this.#secret = secret
    this.#limit = checkInteger('limit', limit, 1, 2 ** 24)
    this.#resize(SPARE * FIRST_FLOWS)
  }

  /** Number of flows. */
  get size(): number {
    return this.#size
  }

  /**
   * Returns the flow of a packet, made if it is new. Sets `payloadOffset` of the skb and cuts padding
   * off. The skb stays the caller's.
   *
   * @returns `undefined` for a packet without a flow, counted by reason. A packet with a wrong checksum
   *   has no flow, but its layout and key are set.
   */
  demux(skb: AnySkb): F | undefined {
    const { layout } = this
    parseFrame(skb.head, 0, skb.headLength, layout, skb.headLength + skb.dataLength)
    if (layout.kind !== FrameKind.tcp && layout.kind !== FrameKind.udp) {
      if (layout.kind === FrameKind.malformed) this.#counters.malformed++
      else this.#counters.other_packets++
      return undefined
    }
    skb.payloadOffset = layout.headerLength
    const padding = skb.payloadLength - layout.payloadLength
    if (padding > 0) this.#counters.padding_bytes += skb.trimEnd(padding)
    this.key.read(layout, skb.head)
    if (skb.checksumBad) {
      this.#counters.csum_bad++
      return undefined
    }
    this.#counters.matched++
    return this.findOrMake(this.key)
  }

  /** Returns the flow of a key, or `undefined` if the table has none. */
  find(key: FlowKey): F | undefined {
    return this.#flows[this.#slot(key.words, this.#hashOf(key))]
  }

  /** Returns the flow of a key, made if it is new, or `undefined` if the table is full. */
  findOrMake(key: FlowKey): F | undefined {
    const hash = this.#hashOf(key)
    const slot = this.#slot(key.words, hash)
    if (this.#hashes[slot] !== 0) return this.#flows[slot]
    return this.#add(key, hash)
  }

  /** Takes a flow out. Returns it, or `undefined` if the table has none. */
  remove(key: FlowKey): F | undefined {
    let hole = this.#slot(key.words, this.#hashOf(key))
    if (this.#hashes[hole] === 0) return undefined
    const flow = this.#flows[hole]
    this.#size--
    // No tombstones: entries behind the hole move into it where their search passes it (Knuth, 6.4, R).
    for (let at = (hole + 1) & this.#mask; this.#hashes[at] !== 0; at = (at + 1) & this.#mask) {
      const home = (this.#hashes[at] ?? 0) & this.#mask
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue
      this.#keys.copyWithin(hole * KEY_WORDS, at * KEY_WORDS, (at + 1) * KEY_WORDS)
      this.#hashes[hole] = this.#hashes[at] ?? 0
      this.#flows[hole] = this.#flows[at]
      hole = at
    }
    this.#hashes[hole] = 0
    this.#flows[hole] = undefined
    return flow
  }

  /** Yields all flows, in no particular order. */
  *flows(): Generator<F, void, void> {
    for (const [slot, flow] of this.#flows.entries()) {
      if (this.#hashes[slot] !== 0 && flow !== undefined) yield flow
    }
  }

  /** Returns a snapshot of the counters. */
  stats(): FlowTableStats {
    return { ...this.#counters }
  }

  /** Returns a hash other than 0, since 0 is a free slot. */
  #hashOf(key: FlowKey): number {
    return flowHash(key, this.#secret) || 1
  }

  /** Returns the slot of a key, or the free slot where it would go. */
  #slot(words: Int32Array, hash: number): number {
    let slot = hash & this.#mask
    while (this.#hashes[slot] !== 0) {
      if (this.#hashes[slot] === hash && sameWords(this.#keys, slot * KEY_WORDS, words)) break
      slot = (slot + 1) & this.#mask
    }
    return slot
  }

  #add(key: FlowKey, hash: number): F | undefined {
    if (this.#size === this.#limit) {
      this.#counters.table_full++
      return undefined
    }
    const flow = this.#make(key.copy())
    if (SPARE * (this.#size + 1) > this.#mask + 1) this.#resize(2 * this.#flows.length)
    this.#size++
    this.#put(key.words, hash, flow)
    return flow
  }

  #put(words: Int32Array, hash: number, flow: F | undefined): void {
    const slot = this.#slot(words, hash)
    this.#hashes[slot] = hash
    this.#keys.set(words, slot * KEY_WORDS)
    this.#flows[slot] = flow
  }

  /** Moves all flows to a table of `slots` slots. */
  #resize(slots: number): void {
    const hashes = this.#hashes
    const keys = this.#keys
    const flows = this.#flows
    this.#mask = slots - 1
    this.#hashes = new Int32Array(slots)
    this.#keys = new Int32Array(slots * KEY_WORDS)
    this.#flows = new Array<F | undefined>(slots).fill(undefined)
    for (const [from, hash] of hashes.entries()) {
      const words = keys.subarray(from * KEY_WORDS, (from + 1) * KEY_WORDS)
      if (hash !== 0) this.#put(words, hash, flows[from])
    }
  }
}
