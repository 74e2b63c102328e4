/**
 * One RX queue as a driver has it: buffers posted to the NIC, and completions made into skbs. What
 * its memory is, only the maker of skbs that it is given knows.
 */

import { checkInteger } from '../../../errors.ts'
import { bytesOf, isPage, type Netmem, type Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { Reservation } from '../../../pool/reservation.ts'
import {
  RX_CHECKSUM_BAD,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_SPLIT,
  RxCompletion,
} from '../../rings/rx-front-end.ts'
import { DriverRxRing, makeRxRings, type RxRings } from '../../rings/shared-rings.ts'
import { copyShort } from '../../rings/short-copy.ts'
import type { DmaMap } from './dma-map.ts'
import { HeaderBuffers } from './header-buffers.ts'

/** What every skb has, whatever its frags are. */
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

/** Makes skbs of what a queue receives: the place where a driver says which memory it handles. */
export interface SkbMaker<in out M extends Netmem, S extends Packet> {
  /** An empty skb for memory like `m`; for linear bytes alone without. */
  readonly begin: (m: M | undefined) => S
  /** Adds a frag and takes over its reference; false where the skb can't have it. */
  readonly add: (skb: S, m: M, offset: number, length: number) => boolean
  /** Up the stack. */
  readonly deliver: (skb: S) => void
}

/** What a queue's memory is and how it is used. */
export interface DriverRxQueueOptions<in out M extends Netmem, S extends Packet> {
  readonly queue: number
  readonly pool: PagePool<M>
  readonly map: DmaMap<M>
  readonly maker: SkbMaker<M, S>
  /** Pages for header buffers, mapped as `headerRegion`. */
  readonly headerPool: PagePool<Page>
  readonly headerRegion: number
  /** Entries of its rings: a power of two. */
  readonly ringSize: number
  /** Bytes of each posted buffer: a power of two, a page at the most. */
  readonly bufferBytes: number
  readonly headerBytes: number
  readonly doorbell: SharedArrayBuffer
}

/** What a queue has counted. */
export interface DriverQueueStats {
  rx_packets: number
  /** Packets that were not split and arrived in memory that can't be read. */
  rx_dropped_unsplit: number
  /** Packets in more pieces than an skb has frags. */
  rx_dropped_frags: number
  /** Times that the pool was dry when buffers were to be posted. */
  rx_alloc_fail: number
}

/** As much of a frame that was not split is looked at for headers. */
const PULL_BYTES = 128

export class DriverRxQueue<in out M extends Netmem, S extends Packet> {
  readonly queue: number
  readonly rings: RxRings
  readonly stats: DriverQueueStats = {
    rx_packets: 0,
    rx_dropped_unsplit: 0,
    rx_dropped_frags: 0,
    rx_alloc_fail: 0,
  }
  readonly #pool: PagePool<M>
  readonly #map: DmaMap<M>
  readonly #maker: SkbMaker<M, S>
  readonly #headers: HeaderBuffers
  readonly #bufferBytes: number
  readonly #ring: DriverRxRing
  readonly #completion = new RxCompletion()
  // Posted buffers by their number: what they are part of, and where in it they begin.
  readonly #posted: (M | undefined)[] = []
  readonly #starts: Int32Array
  readonly #free: Int32Array
  #freeCount: number
  // The packet whose pieces are arriving; it is dropped at its end if `#spoilt`.
  #packet: S | undefined
  #spoilt = false
  #awaiting = false
  #closed = false

  /** Takes all the memory the queue needs. Throws NETMEM_OUT_OF_RANGE, NETMEM_BUSY when the header pool is dry. */
  constructor(options: DriverRxQueueOptions<M, S>) {
    const { pool, ringSize, bufferBytes, headerBytes } = options
    this.queue = options.queue
    this.#pool = pool
    this.#map = options.map
    this.#maker = options.maker
    this.#bufferBytes = checkInteger('bufferBytes', bufferBytes, 256, pool.pageSize)
    const { headerPool, headerRegion, doorbell } = options
    this.#headers = new HeaderBuffers(headerPool, ringSize, headerBytes, headerRegion)
    const { pages } = this.#headers
    this.rings = makeRxRings(ringSize, { bytes: headerBytes, pages }, doorbell)
    this.#ring = new DriverRxRing(this.rings)
    this.#starts = new Int32Array(ringSize)
    this.#free = new Int32Array(ringSize)
    for (let id = 0; id < ringSize; id++) this.#free[id] = ringSize - 1 - id
    this.#freeCount = ringSize
    this.refill()
  }

  /** Posts as many buffers as the ring and the pool have. */
  refill(): void {
    if (this.#closed || this.#pool.destroyed) return
    const bytes = this.#bufferBytes
    // A whole page needs no reservation, which would be an object for each packet.
    const whole = bytes === this.#pool.pageSize
    let rest: Reservation<M> | undefined
    while (this.#freeCount > 0) {
      if (!whole && (rest === undefined || rest.room < bytes)) {
        rest?.cancel()
        rest = this.#pool.reserve(bytes)
      }
      const start = rest?.offset ?? 0
      const m = whole ? this.#pool.alloc() : rest?.commit(bytes, true)
      if (m === undefined) {
        this.stats.rx_alloc_fail++
        this.#awaitMemory()
        break
      }
      const id = this.#free[--this.#freeCount] ?? 0
      this.#posted[id] = m
      this.#starts[id] = start
      this.#ring.post(id, this.#map.region(m), this.#map.offset(m) + start, bytes)
    }
    rest?.cancel()
    this.#ring.flush()
  }

  /** Delivers at most `budget` packets; returns how many there were. */
  poll(budget: number): number {
    const completion = this.#completion
    let packets = 0
    while (packets < budget && this.#ring.poll(completion)) {
      this.#piece(completion)
      if ((completion.flags & RX_END_OF_PACKET) !== 0) {
        packets++
        this.#finish()
      }
    }
    if (packets > 0) this.refill()
    return packets
  }

  /** Resolves when {@link poll} has something to do; `undefined` when it has already. */
  interrupt(): Promise<unknown> | undefined {
    return this.#ring.interrupt()
  }

  /** Gives back all that is posted. The NIC must have stopped the queue. */
  close(): void {
    if (this.#closed) return
    this.poll(Number.POSITIVE_INFINITY)
    this.#closed = true
    this.#packet?.free()
    this.#packet = undefined
    for (const m of this.#posted.splice(0)) if (m !== undefined) this.#pool.put(m)
    this.#headers.close()
  }

  /** With nothing posted nothing arrives that would have it look again. */
  #awaitMemory(): void {
    if (this.#awaiting) return
    this.#awaiting = true
    this.#pool.notify(this.#memoryBack)
  }

  readonly #memoryBack = (): void => {
    this.#awaiting = false
    this.refill()
  }

  /** One completion: a buffer's data, or headers, or both. */
  #piece(completion: RxCompletion): void {
    const { id, flags } = completion
    const m = id < 0 ? undefined : this.#posted[id]
    if ((flags & RX_CONTINUES) === 0) this.#begin(m, completion)
    if (m === undefined) return
    this.#posted[id] = undefined
    this.#free[this.#freeCount++] = id
    const packet = this.#packet
    const offset = (this.#starts[id] ?? 0) + completion.offset
    if (packet === undefined) {
      this.#pool.put(m)
    } else if ((flags & RX_SPLIT) === 0 && (flags & RX_CONTINUES) === 0) {
      this.#unsplit(packet, m, offset, completion.bytes)
    } else {
      this.#add(packet, m, offset, completion.bytes)
    }
  }

  #begin(m: M | undefined, completion: RxCompletion): void {
    const packet = this.#maker.begin(m)
    this.#packet = packet
    this.#spoilt = false
    packet.queue = this.queue
    packet.hash = completion.hash
    packet.segments = completion.segments
    packet.checksumVerified = (completion.flags & RX_CHECKSUM_OK) !== 0
    packet.checksumBad = (completion.flags & RX_CHECKSUM_BAD) !== 0
    if (completion.headerBytes === 0) return
    const header = this.#headers.views[this.#ring.headerBuffer]
    if (header === undefined) return
    const headerBytes = Math.min(completion.headerBytes, header.byteLength)
    // Word by word: `set` would need a view of just these bytes, and a loop over bytes was half of what a packet costs here.
    copyShort(header, 0, headerBytes, packet.headView, 0)
    packet.headLength = headerBytes
    packet.payloadOffset = headerBytes
  }

  #add(packet: S, m: M, offset: number, length: number): void {
    if (length > 0 && !this.#spoilt && this.#maker.add(packet, m, offset, length)) return
    this.#pool.put(m)
    if (length > 0 && !this.#spoilt) {
      this.#spoilt = true
      this.stats.rx_dropped_frags++
    }
  }

  /** A frame that was not split: its headers are pulled out of memory that can be read, otherwise it is dropped. */
  #unsplit(packet: S, m: M, offset: number, length: number): void {
    if (!isPage(m)) {
      this.#pool.put(m)
      this.#spoilt = true
      this.stats.rx_dropped_unsplit++
      return
    }
    const bytes = bytesOf(m)
    const pulled = Math.min(length, PULL_BYTES, packet.head.length)
    for (let at = 0; at < pulled; at++) packet.head[at] = bytes[offset + at] ?? 0
    packet.headLength = pulled
    packet.payloadOffset = pulled
    this.#add(packet, m, offset + pulled, length - pulled)
  }

  #finish(): void {
    const packet = this.#packet
    this.#packet = undefined
    if (packet === undefined) return
    if (this.#spoilt) {
      packet.free()
      return
    }
    this.stats.rx_packets++
    this.#maker.deliver(packet)
  }
}
