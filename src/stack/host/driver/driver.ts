/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Driver of a NIC, for memory of any kind: its receive queues start, stop and restart one by one,
 * and it sends skbs of pages. {@link PageDriver} and {@link NetmemDriver} say which memory.
 */

import { HandleError, LifetimeError, type OptionNames } from '../../../errors.ts'
import { bytesOf, isPage, type Netmem, type Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import type { Skb } from '../skb/skb.ts'
import { type DmaMap, pageDmaMap } from './dma-map.ts'
import type { DriverNic } from './driver-nic.ts'
import { Napi } from './napi.ts'
import { type DriverQueueStats, DriverRxQueue } from './rx-queue.ts'
import type { Packet, SkbMaker } from './skb-maker.ts'
import { DriverTxQueue, queueClosed } from './tx-queue.ts'
import { unlessGone } from './unless-gone.ts'

/** Options of the queues of a driver. */
export interface QueueOptions {
  /** Pages for header buffers, shared between threads: one pool for all queues. */
  readonly headerPool: PagePool<Page>
  /** Entries of each queue's rings: a power of two. Default 256. */
  readonly ringSize?: number
  /** Bytes of each posted buffer: a power of two, at most a page of the payload pool, which is the default. */
  readonly bufferBytes?: number
  /** Bytes of each header buffer. Default 256. */
  readonly headerBytes?: number
  /** Placement of headers. Default `headers`: in a separate buffer. */
  readonly split?: RxQueueConfig['split']
  /** Frames of at most this many bytes stay in the header buffer. Default 0. */
  readonly splitThresholdBytes?: number
  /** True if the NIC makes one packet of consecutive segments. Default false. */
  readonly coalesce?: boolean
  /** Entries of the transmit ring, which is made at the first `transmit()`: a power of two, 32 to 65536. Default 256. */
  readonly txRingSize?: number
}

/** @internal */
export const QUEUE_OPTIONS: OptionNames<QueueOptions> = {
  headerPool: true,
  ringSize: true,
  bufferBytes: true,
  headerBytes: true,
  split: true,
  splitThresholdBytes: true,
  coalesce: true,
  txRingSize: true,
}

/** @internal Memory of one receive queue, and the skbs that are made of it. */
export interface QueueMemory<in out M extends Netmem, S extends Packet> {
  readonly pool: PagePool<M>
  readonly maker: SkbMaker<M, S>
}

interface Queue<in out M extends Netmem, S extends Packet> {
  readonly rx: DriverRxQueue<M, S>
  readonly config: RxQueueConfig
}

/** Base of the drivers: see `openPageDriver` and `openNetmemDriver`. */
export abstract class Driver<in out M extends Netmem, S extends Packet> implements AsyncDisposable {
  /** NIC that the driver runs. */
  readonly nic: DriverNic
  /** Resolves when the driver has closed. */
  readonly closed: Promise<void>
  readonly #options: QueueOptions
  readonly #memory: readonly QueueMemory<M, S>[]
  /** Region of each mapped memory: what lies there can be sent. */
  readonly #regions = new Map<ArrayBufferLike, number>()
  /** Region of each queue's pages, from queue 0 on. */
  readonly #pageRegions: number[] = []
  #headerRegion = -1
  readonly #queues = new Map<number, Queue<M, S>>()
  /** Empty until something is sent. */
  readonly #senders: DriverTxQueue[] = []
  readonly #napi: Napi
  #closing: Promise<void> | undefined
  #resolveClosed = (): void => {}

  /** @internal */
  constructor(nic: DriverNic, options: QueueOptions, memory: readonly QueueMemory<M, S>[]) {
    this.nic = nic
    this.#napi = new Napi(nic.doorbell, this.#senders)
    this.#options = options
    this.#memory = memory
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  /** Polls by itself from now on, until it is closed. */
  run(): void {
    this.#napi.start()
  }

  /** Handles at most `budget` packets of each queue. Returns the number of packets. */
  poll(budget?: number): number {
    return this.#napi.poll(budget)
  }

  /**
   * Sends an skb of pages and takes it over. Polling frees it once the NIC has sent it. The NIC
   * writes its checksums. Returns false, and the skb stays the caller's, while there is no room.
   *
   * @throws NETMEM_UNREADABLE for device memory.
   * @throws NETMEM_NOT_SHARED for pages that are not of this driver's pools.
   * @throws NETMEM_SKB_FREED for an skb that is freed.
   * @throws NETMEM_OUT_OF_RANGE for more linear bytes than `headerBytes`.
   * @throws NETMEM_DEVICE_CLOSED after {@link close}, or the error with which the NIC refused the queue.
   */
  transmit(skb: Skb<Page>): boolean {
    const sent = (this.#senders[0] ?? this.#openSender()).transmit(skb)
    if (sent) this.#napi.wake()
    return sent
  }

  /** Posts buffers now, after memory came back to a dry pool. Receiving does so by itself. */
  refill(): void {
    for (const { rx } of this.#queues.values()) rx.refill()
  }

  /** Returns the counters of a queue, or `undefined` if the driver does not run it. */
  stats(queue: number): DriverQueueStats | undefined {
    return this.#queues.get(queue)?.rx.stats
  }

  /**
   * Stops all queues and gives back the memory that is posted. Packets that were delivered stay
   * valid. A binding of a queue ends as if the device were gone.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close().finally(this.#resolveClosed)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal Called by {@link close} once all queues are stopped. */
  stopped(): void {}

  /** @internal True once {@link close} was called. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** @internal Receive queues that it runs. */
  get queueCount(): number {
    return this.#memory.length
  }

  /** @internal Maps the memory of all pools and starts the queues. Closes the driver if one does not start. */
  async start(): Promise<this> {
    try {
      const { headerPool } = this.#options
      this.#headerRegion = await this.#map(sharedMemoryOf(headerPool))
      for (const { pool } of this.#memory) {
        this.#pageRegions.push(await this.#map(sharedMemoryOf(pool)))
      }
      for (const queue of this.#memory.keys()) await this.usePages(queue)
      return this
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** @internal Restarts a queue with its pool of pages. */
  async usePages(queue: number): Promise<void> {
    const memory = this.#memory[queue]
    const region = this.#pageRegions[queue]
    if (memory === undefined || region === undefined) return
    await this.restart(queue, memory, pageDmaMap(memory.pool, region), false)
  }

  /**
   * @internal Restarts a queue with other memory. The new queue has all of its memory before the old
   * one stops. If it does not start, the old one runs again (Linux, net/core/netdev_rx_queue.c).
   */
  async restart(
    queue: number,
    memory: QueueMemory<M, S>,
    map: DmaMap<M>,
    boundToDevice: boolean,
  ): Promise<void> {
    const { headerPool, ringSize = 256, headerBytes = 256, bufferBytes } = this.#options
    const { split = 'headers', splitThresholdBytes = 0, coalesce = false } = this.#options
    const rx = new DriverRxQueue<M, S>({
      ...memory,
      queue,
      map,
      headerPool,
      headerRegion: this.#headerRegion,
      ringSize,
      headerBytes,
      bufferBytes: bufferBytes ?? memory.pool.pageSize,
      doorbell: this.nic.doorbell,
    })
    const config = { split, splitThresholdBytes, boundToDevice, coalesce }
    const old = this.#queues.get(queue)
    if (old !== undefined) await this.#halt(old)
    try {
      await this.#begin({ rx, config })
    } catch (error) {
      rx.close()
      if (old !== undefined) await this.#putBack(old)
      throw error
    }
    old?.rx.close()
  }

  async #close(): Promise<void> {
    this.#napi.stop()
    // Closed senders stay, to refuse what is sent later.
    for (const sender of this.#senders) await sender.close()
    for (const queue of [...this.#queues.values()]) {
      await this.#halt(queue)
      this.#queues.delete(queue.rx.queue)
      queue.rx.close()
    }
    this.stopped()
  }

  #openSender(): DriverTxQueue {
    if (this.isClosing) throw queueClosed()
    const { headerPool, headerBytes = 256, txRingSize = 256 } = this.#options
    const sender = new DriverTxQueue({
      nic: this.nic,
      queue: 0,
      ringSize: txRingSize,
      headerPool,
      headerBytes,
      regions: this.#regions,
    })
    this.#senders.push(sender)
    return sender
  }

  async #map(memory: SharedArrayBuffer): Promise<number> {
    const region = await this.nic.mapHost(memory)
    this.#regions.set(memory, region)
    return region
  }

  async #putBack(old: Queue<M, S>): Promise<void> {
    try {
      await this.#begin(old)
    } catch (error) {
      this.#queues.delete(old.rx.queue)
      old.rx.close()
      throw error
    }
  }

  async #begin(queue: Queue<M, S>): Promise<void> {
    const { rx, config } = queue
    await this.nic.startQueue(rx.queue, rx.rings, config)
    this.#queues.set(rx.queue, queue)
    this.#napi.add(rx)
  }

  async #halt({ rx }: Queue<M, S>): Promise<void> {
    await unlessGone(this.nic.stopQueue(rx.queue))
    rx.poll(Number.POSITIVE_INFINITY)
    this.#napi.remove(rx)
  }
}

/** Returns the memory that all pages of a pool lie in. Throws NETMEM_NOT_SHARED, NETMEM_WRONG_KIND, NETMEM_POOL_DRY. */
function sharedMemoryOf<M extends Netmem>(pool: PagePool<M>): SharedArrayBuffer {
  const m = pool.alloc()
  if (m === undefined) {
    throw new LifetimeError('NETMEM_POOL_DRY', 'The pool has no page to post; make it larger.')
  }
  const buffer = isPage(m) ? bytesOf(m).buffer : undefined
  pool.put(m)
  if (buffer instanceof SharedArrayBuffer) return buffer
  throw buffer === undefined
    ? new HandleError(
        'NETMEM_WRONG_KIND',
        'A driver starts with pages; bindRx() gives its queues device memory.',
      )
    : new LifetimeError(
        'NETMEM_NOT_SHARED',
        'The NIC lives in another thread. Make the pool from sharedProvider().',
      )
}
