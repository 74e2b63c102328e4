/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Driver of a NIC, for memory of any kind: its receive queues start, stop and restart one by one,
 * and it sends skbs of pages. {@link PageDriver} and {@link NetmemDriver} say which memory.
 */

import { HandleError, LifetimeError } from '../../../errors.ts'
import { bytesOf, isPage, type Netmem, type Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { deferred } from '../../../pool/waiters.ts'
import type { AnySkb, Skb } from '../skb/skb.ts'
import { type DmaMap, pageDmaMap } from './dma-map.ts'
import type { DriverNic } from './driver-nic.ts'
import { Napi } from './napi.ts'
import type { CheckedOptions, SkbMaker } from './queue-options.ts'
import { type DriverQueueStats, DriverRxQueue } from './rx-queue.ts'
import { DriverTxQueue, queueClosed } from './tx-queue.ts'
import { unlessGone } from './unless-gone.ts'

/** Base of the drivers: see `openPageDriver` and `openNetmemDriver`. */
export abstract class Driver<in out M extends Netmem, S extends AnySkb> implements AsyncDisposable {
  /** NIC that the driver runs. */
  readonly nic: DriverNic
  readonly #closed = deferred()
  /** Resolves when the driver has closed. */
  readonly closed: Promise<void> = this.#closed.promise
  /** @internal */
  readonly options: CheckedOptions<M, S>
  /** @internal Bindings of its queues. They end with the driver. */
  readonly bindings: Set<{ uninstall(): void }> = new Set()
  /** Region of each mapped memory: what lies there can be sent. */
  readonly #regions = new Map<ArrayBufferLike, number>()
  /** Map of each queue's pages, from queue 0 on. */
  readonly #pageMaps: DmaMap<M>[] = []
  #headerRegion = -1
  readonly #queues = new Map<number, DriverRxQueue<M, S>>()
  #sender: DriverTxQueue | undefined
  readonly #napi: Napi
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(nic: DriverNic, options: CheckedOptions<M, S>) {
    this.nic = nic
    this.#napi = new Napi(nic.doorbell)
    this.options = options
  }

  /** @internal Returns the functions that make skbs with `headBytes` linear bytes of a pool's memory. */
  abstract skbsOf(pool: PagePool<M>, headBytes: number): SkbMaker<M, S>

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
    const sent = (this.#sender ?? this.#openSender()).transmit(skb)
    if (sent) this.#napi.wake()
    return sent
  }

  /** Returns the counters of a queue, or `undefined` if the driver does not run it. */
  stats(queue: number): DriverQueueStats | undefined {
    return this.#queues.get(queue)?.stats
  }

  /**
   * Stops all queues and gives back the memory that is posted. Packets that were delivered stay
   * valid. A binding of a queue ends as if the device were gone.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close().finally(this.#closed.resolve)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal True once {@link close} was called. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** @internal Maps the memory of all pools and starts the queues. Closes the driver if one does not start. */
  async start(): Promise<this> {
    try {
      this.#headerRegion = await this.#map(sharedMemoryOf(this.options.headerPool))
      for (const pool of this.options.pools) {
        this.#pageMaps.push(pageDmaMap(pool, await this.#map(sharedMemoryOf(pool))))
      }
      for (const queue of this.#pageMaps.keys()) await this.usePages(queue)
      return this
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** @internal Restarts a queue with its pool of pages. */
  async usePages(queue: number): Promise<void> {
    const pool = this.options.pools[queue]
    const map = this.#pageMaps[queue]
    if (pool !== undefined && map !== undefined) await this.restart(queue, pool, map, false)
  }

  /**
   * @internal Restarts a queue with other memory. The new queue has all of its memory before the old
   * one stops. If it does not start, the old one runs again (Linux, net/core/netdev_rx_queue.c).
   */
  async restart(
    queue: number,
    pool: PagePool<M>,
    map: DmaMap<M>,
    boundToDevice: boolean,
  ): Promise<void> {
    const { options } = this
    const rx = new DriverRxQueue<M, S>({
      ...options,
      ...this.skbsOf(pool, options.headerBytes),
      bufferBytes: options.bufferBytes ?? pool.pageSize,
      queue,
      pool,
      map,
      boundToDevice,
      headerRegion: this.#headerRegion,
      doorbell: this.nic.doorbell,
    })
    const old = this.#queues.get(queue)
    if (old !== undefined) await this.#halt(old)
    try {
      await this.#begin(rx)
    } catch (error) {
      rx.close()
      if (old !== undefined) await this.#putBack(old)
      throw error
    }
    old?.close()
  }

  async #close(): Promise<void> {
    this.#napi.stop()
    // A closed sender stays, to refuse what is sent later.
    await this.#sender?.close()
    for (const rx of [...this.#queues.values()]) {
      await this.#halt(rx)
      this.#queues.delete(rx.queue)
      rx.close()
    }
    for (const binding of this.bindings) binding.uninstall()
  }

  #openSender(): DriverTxQueue {
    if (this.isClosing) throw queueClosed()
    this.#sender = new DriverTxQueue(this.nic, this.options, this.#regions)
    this.#napi.add(this.#sender)
    return this.#sender
  }

  async #map(memory: SharedArrayBuffer): Promise<number> {
    const region = await this.nic.mapHost(memory)
    this.#regions.set(memory, region)
    return region
  }

  async #putBack(old: DriverRxQueue<M, S>): Promise<void> {
    try {
      await this.#begin(old)
    } catch (error) {
      this.#queues.delete(old.queue)
      old.close()
      throw error
    }
  }

  async #begin(rx: DriverRxQueue<M, S>): Promise<void> {
    await this.nic.startQueue(rx.queue, rx.rings, rx.config)
    this.#queues.set(rx.queue, rx)
    this.#napi.add(rx)
  }

  async #halt(rx: DriverRxQueue<M, S>): Promise<void> {
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
