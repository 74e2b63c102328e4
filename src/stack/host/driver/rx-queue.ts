/**
 * RX queue of a driver: posts buffers to the NIC, and makes skbs of its completions. The maker of
 * skbs alone knows which kind of memory that is.
 */

import { bytesOf, isPage, type Netmem } from '../../../netmem.ts'
import { addMemoryUser, type MemoryUser, type MemoryVisitor } from '../../../pool/memory-users.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import {
  RX_CHECKSUM_BAD,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_SPLIT,
  RxCompletion,
} from '../../rings/rx-front-end.ts'
import { createRxRings, DriverRxRing, type RxRings } from '../../rings/shared-rings.ts'
import { copyShort } from '../../rings/short-copy.ts'
import type { AnySkb } from '../skb/skb.ts'
import type { DmaMap } from './dma-map.ts'
import { HeaderBuffers } from './header-buffers.ts'
import { QueueBuffers } from './queue-buffers.ts'
import type { DriverOptions, SkbMaker } from './queue-options.ts'

/** Memory of a queue, and its use. */
export interface DriverRxQueueOptions<in out M extends Netmem, S extends AnySkb>
  extends Required<DriverOptions<M, S>>,
    SkbMaker<M, S> {
  readonly queue: number
  readonly pool: PagePool<M>
  readonly map: DmaMap<M>
  /** True if the memory is a device's. */
  readonly boundToDevice: boolean
  /** Region of the header pool's memory. */
  readonly headerRegion: number
  readonly doorbell: SharedArrayBuffer
}

/** Counters of a queue of a driver. */
export interface DriverQueueStats {
  /** Packets delivered. */
  rx_packets: number
  /** Packets that were not split and arrived in unreadable memory. */
  rx_dropped_unsplit: number
  /** Packets in more pieces than an skb has frags. */
  rx_dropped_frags: number
  /** Buffers that the NIC gave back because it could not write to them. */
  rx_dma_faults: number
  /** Times the pool was dry when buffers were to be posted. */
  rx_alloc_fail: number
}

/** Part of a ring's buffers that is posted again at once. */
const REFILL_PART = 1 / 4

/** Bytes of a frame that was not split in which headers are looked for. */
const PULL_BYTES = 128

export class DriverRxQueue<in out M extends Netmem, S extends AnySkb> implements MemoryUser {
  readonly queue: number
  readonly rings: RxRings
  /** Settings that the NIC starts the queue with. */
  readonly config: RxQueueConfig
  readonly stats: DriverQueueStats = {
    rx_packets: 0,
    rx_dropped_unsplit: 0,
    rx_dropped_frags: 0,
    rx_dma_faults: 0,
    rx_alloc_fail: 0,
  }
  readonly #pool: PagePool<M>
  readonly #begin: SkbMaker<M, S>['begin']
  readonly #addFrag: SkbMaker<M, S>['add']
  readonly #deliver: (skb: S) => void
  readonly #headers: HeaderBuffers
  readonly #ring: DriverRxRing
  readonly #buffers: QueueBuffers<M>
  /** Free buffers at which the ring is filled while packets are still polled. */
  readonly #refillBuffers: number
  readonly #completion = new RxCompletion()
  /** The packet whose pieces are arriving, unless it is dropped. */
  #packet: S | undefined
  #awaitsMemory = false
  #closed = false

  /**
   * Takes all the memory of the queue.
   *
   * @throws NETMEM_OUT_OF_RANGE, and NETMEM_POOL_DRY if the header pool is dry.
   */
  constructor(options: DriverRxQueueOptions<M, S>) {
    const { pool, map, ringSize, bufferBytes, headerBytes, headerPool } = options
    const { split, splitThresholdBytes, boundToDevice, coalesce } = options
    this.queue = options.queue
    this.config = { split, splitThresholdBytes, boundToDevice, coalesce }
    this.#pool = pool
    this.#begin = options.begin
    this.#addFrag = options.add
    this.#deliver = options.deliver
    // First, since it checks the sizes and takes no memory yet.
    this.#buffers = new QueueBuffers(pool, map, ringSize, bufferBytes)
    this.#headers = new HeaderBuffers(headerPool, ringSize, headerBytes, options.headerRegion)
    const { pages } = this.#headers
    this.rings = createRxRings(ringSize, { bytes: headerBytes, pages }, options.doorbell)
    this.#ring = new DriverRxRing(this.rings)
    this.#refillBuffers = Math.ceil(ringSize * REFILL_PART)
    this.refill()
    addMemoryUser(this)
  }

  visitMemory(visit: MemoryVisitor): void {
    this.#buffers.visitMemory(visit)
    this.#headers.visitMemory(visit)
  }

  /** Posts as many buffers as the ring and the pool have. */
  refill(): void {
    if (this.#closed || this.#pool.destroyed || this.#buffers.fill(this.#ring)) return
    this.stats.rx_alloc_fail++
    if (this.#awaitsMemory) return
    // An empty ring gets no completions, so wait for the pool.
    this.#awaitsMemory = true
    this.#pool.notify(this.#refillLater)
  }

  /** Delivers at most `budget` packets. Returns their number. */
  poll(budget: number): number {
    const completion = this.#completion
    let packets = 0
    while (packets < budget && this.#ring.poll(completion)) {
      this.#piece(completion)
      if ((completion.flags & RX_END_OF_PACKET) !== 0) {
        packets++
        this.#finish()
        // Merged packets have many buffers: the NIC needs some before all of them are handled.
        if (this.#buffers.free >= this.#refillBuffers && !this.#awaitsMemory) this.refill()
      }
    }
    if (packets > 0) this.refill()
    return packets
  }

  /** Resolves when {@link poll} has a completion to read. Returns `undefined` if there is one already. */
  interrupt(): Promise<unknown> | undefined {
    return this.#ring.interrupt()
  }

  /** Gives back all of its memory. The NIC must have stopped the queue, and completions are polled. */
  close(): void {
    this.#closed = true
    this.#drop()
    this.#buffers.close()
    this.#headers.close()
  }

  readonly #refillLater = (): void => {
    this.#awaitsMemory = false
    this.refill()
  }

  /** Takes one completion: data in a buffer, headers, or both. */
  #piece(completion: RxCompletion): void {
    const { id, flags } = completion
    const m = this.#buffers.take(id)
    if ((flags & RX_FAULT) !== 0) {
      // The NIC could not write to the buffer, which is part of no packet.
      this.stats.rx_dma_faults++
      if (m !== undefined) this.#pool.put(m)
      return
    }
    if ((flags & RX_CONTINUES) === 0) this.#beginPacket(m, completion)
    if (m === undefined) return
    const packet = this.#packet
    const offset = this.#buffers.start(id) + completion.offset
    if (packet === undefined) {
      this.#pool.put(m)
    } else if ((flags & RX_SPLIT) === 0 && (flags & RX_CONTINUES) === 0) {
      this.#unsplit(packet, m, offset, completion.bytes)
    } else {
      this.#add(packet, m, offset, completion.bytes)
    }
  }

  #beginPacket(m: M | undefined, completion: RxCompletion): void {
    const packet = this.#begin(m)
    this.#packet = packet
    packet.queue = this.queue
    packet.hash = completion.hash
    packet.segments = completion.segments
    packet.checksumVerified = (completion.flags & RX_CHECKSUM_OK) !== 0
    packet.checksumBad = (completion.flags & RX_CHECKSUM_BAD) !== 0
    if (completion.headerBytes === 0) return
    const header = this.#headers.views[this.#ring.headerBuffer]
    if (header === undefined) return
    const headerBytes = Math.min(completion.headerBytes, header.byteLength)
    // Word by word: `set` needs a view of these bytes, and a loop over bytes took half the time of a packet.
    copyShort(header, 0, headerBytes, packet.headView, 0)
    packet.headLength = headerBytes
    packet.payloadOffset = headerBytes
  }

  #add(packet: S, m: M, offset: number, length: number): void {
    if (length > 0 && this.#addFrag(packet, m, offset, length)) return
    this.#pool.put(m)
    if (length === 0) return
    this.stats.rx_dropped_frags++
    this.#drop()
  }

  /** Adds a frame that was not split: pulls its headers out of readable memory, and drops it in other memory. */
  #unsplit(packet: S, m: M, offset: number, length: number): void {
    if (!isPage(m)) {
      this.#pool.put(m)
      this.stats.rx_dropped_unsplit++
      this.#drop()
      return
    }
    const bytes = bytesOf(m)
    const pulled = Math.min(length, PULL_BYTES, packet.head.length)
    for (let at = 0; at < pulled; at++) packet.head[at] = bytes[offset + at] ?? 0
    packet.headLength = pulled
    packet.payloadOffset = pulled
    this.#add(packet, m, offset + pulled, length - pulled)
  }

  /** Frees the packet. Its pieces that still come are given back. */
  #drop(): void {
    this.#packet?.free()
    this.#packet = undefined
  }

  #finish(): void {
    const packet = this.#packet
    if (packet === undefined) return
    this.#packet = undefined
    this.stats.rx_packets++
    this.#deliver(packet)
  }
}
