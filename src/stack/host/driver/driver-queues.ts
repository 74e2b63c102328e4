/** The queues of a driver, whatever their memory is: started, stopped and restarted one by one. */

import { ArgumentTypeError, LifetimeError } from '../../../errors.ts'
import type { Netmem, Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import type { Skb } from '../skb/skb.ts'
import type { DriverNic } from './driver-nic.ts'
import { Napi } from './napi.ts'
import {
  type DriverQueueStats,
  DriverRxQueue,
  type DriverRxQueueOptions,
  type Packet,
} from './rx-queue.ts'
import { closed, DriverTxQueue } from './tx-queue.ts'
import { unlessGone } from './unless-gone.ts'

/** How a driver sets its queues up. */
export interface QueueOptions {
  /** Pages for header buffers, shared between threads; one for all queues. */
  readonly headerPool: PagePool<Page>
  /** Entries of each queue's rings: a power of two; 256 by default. */
  readonly ringSize?: number
  /** Bytes of each posted buffer: a power of two, a page of the payload pool at the most, which is the default. */
  readonly bufferBytes?: number
  /** Bytes of each header buffer: 256 by default. */
  readonly headerBytes?: number
  /** Where headers go: `headers` by default, into a buffer of their own. */
  readonly split?: RxQueueConfig['split']
  /** Frames of at most so many bytes stay in the header buffer; 0 by default. */
  readonly splitThresholdBytes?: number
  /** Whether the NIC makes one packet of consecutive segments; off by default. */
  readonly coalesce?: boolean
  /** Entries of the ring that it sends with, which is made when it first does: a power of two, 32 to 65536; 256 by default. */
  readonly txRingSize?: number
}

/** A queue that is made and not yet started. */
export interface Prepared<in out M extends Netmem, S extends Packet> {
  readonly rx: DriverRxQueue<M, S>
  readonly config: RxQueueConfig
}

export class DriverQueues<in out M extends Netmem, S extends Packet> {
  readonly nic: DriverNic
  readonly options: QueueOptions
  readonly napi: Napi
  readonly #queues = new Map<number, DriverRxQueue<M, S>>()
  readonly #prepared = new Map<number, Prepared<M, S>>()
  readonly #regions = new Map<ArrayBufferLike, number>()
  /** None before something is sent. */
  readonly #senders: DriverTxQueue[] = []
  #headerMemory: SharedArrayBuffer | undefined
  #closed = false

  constructor(nic: DriverNic, options: QueueOptions) {
    this.nic = nic
    this.options = options
    this.napi = new Napi(this.#senders)
  }

  /** Maps host memory for the NIC, and remembers where: what is there can be sent. */
  async map(memory: SharedArrayBuffer): Promise<number> {
    const region = await this.nic.mapHost(memory)
    this.#regions.set(memory, region)
    return region
  }

  /** As the drivers tell. */
  transmit(skb: Skb<Page>): boolean {
    const sent = (this.#senders[0] ?? this.#openSender()).transmit(skb)
    if (sent) this.napi.wake()
    return sent
  }

  /** Makes a queue, with all of its memory, and starts nothing. */
  async prepare(
    memory: Pick<DriverRxQueueOptions<M, S>, 'queue' | 'pool' | 'map' | 'maker'>,
    boundToDevice: boolean,
  ): Promise<Prepared<M, S>> {
    const { headerPool, ringSize = 256, headerBytes = 256 } = this.options
    const { split = 'headers', splitThresholdBytes = 0, coalesce = false } = this.options
    const headerRegion = await this.#mapHeaders()
    const rx = new DriverRxQueue<M, S>({
      ...memory,
      headerPool,
      headerRegion,
      ringSize,
      headerBytes,
      bufferBytes: this.options.bufferBytes ?? memory.pool.pageSize,
      doorbell: this.nic.doorbell,
    })
    return { rx, config: { split, splitThresholdBytes, boundToDevice, coalesce } }
  }

  /**
   * Puts a prepared queue in the place of the one that runs, if any: the others go on. If it can't
   * be started the old one is put back and the new one's memory freed (Linux, net/core/netdev_rx_queue.c).
   */
  async replace(prepared: Prepared<M, S>): Promise<void> {
    const { queue } = prepared.rx
    const old = this.#prepared.get(queue)
    if (old !== undefined) await this.#halt(queue, old)
    try {
      await this.#begin(queue, prepared)
    } catch (error) {
      prepared.rx.close()
      if (old !== undefined) await this.#putBack(queue, old)
      throw error
    }
    old?.rx.close()
  }

  /** Stops a queue and gives its memory back. */
  async stop(queue: number): Promise<void> {
    const prepared = this.#prepared.get(queue)
    if (prepared === undefined) return
    await this.#halt(queue, prepared)
    this.#prepared.delete(queue)
    prepared.rx.close()
  }

  async stopAll(): Promise<void> {
    this.napi.stop()
    this.#closed = true
    // Still there for who sends afterwards, and told that it is closed.
    for (const sender of this.#senders) await sender.close()
    for (const queue of [...this.#prepared.keys()]) await this.stop(queue)
  }

  stats(queue: number): DriverQueueStats | undefined {
    return this.#queues.get(queue)?.stats
  }

  /** Posts buffers again, after memory came back to a pool that was dry. */
  refill(): void {
    for (const queue of this.#queues.values()) queue.refill()
  }

  #openSender(): DriverTxQueue {
    if (this.#closed) throw closed()
    const { headerPool, headerBytes = 256, txRingSize = 256 } = this.options
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

  /** Once: a pool whose pages are all posted has none to ask where it lies. */
  async #mapHeaders(): Promise<number> {
    this.#headerMemory ??= sharedMemoryOf(this.options.headerPool, (page) => page)
    return await this.map(this.#headerMemory)
  }

  async #putBack(queue: number, old: Prepared<M, S>): Promise<void> {
    try {
      await this.#begin(queue, old)
    } catch (error) {
      this.#prepared.delete(queue)
      old.rx.close()
      throw error
    }
  }

  async #begin(queue: number, prepared: Prepared<M, S>): Promise<void> {
    await this.nic.startQueue(queue, prepared.rx.rings, prepared.config)
    this.#queues.set(queue, prepared.rx)
    this.napi.add(prepared.rx)
    this.#prepared.set(queue, prepared)
  }

  async #halt(queue: number, prepared: Prepared<M, S>): Promise<void> {
    await unlessGone(this.nic.stopQueue(queue))
    prepared.rx.poll(Number.POSITIVE_INFINITY)
    this.napi.remove(prepared.rx)
    this.#queues.delete(queue)
  }
}

/** The memory that all pages of a pool lie in. Throws NETMEM_NOT_SHARED, NETMEM_BUSY. */
export function sharedMemoryOf<M extends Netmem>(
  pool: PagePool<M>,
  asPage: (m: M) => (M & Page) | undefined,
): SharedArrayBuffer {
  const m = pool.alloc()
  if (m === undefined) {
    throw new LifetimeError('NETMEM_BUSY', 'The pool has no page to post; make it larger.')
  }
  const page = asPage(m)
  const buffer = page === undefined ? undefined : pool.bytes(page).buffer
  pool.put(m)
  if (buffer instanceof SharedArrayBuffer) return buffer
  throw page === undefined
    ? new ArgumentTypeError(
        'NETMEM_WRONG_KIND',
        'A driver starts with pages; bindRx() gives its queues device memory.',
      )
    : new LifetimeError(
        'NETMEM_NOT_SHARED',
        'The NIC lives in another thread. Make the pool from sharedProvider().',
      )
}
