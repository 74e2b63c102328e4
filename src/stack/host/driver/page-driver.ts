/// <reference lib="esnext.disposable" preserve="true" />
/** A driver of plain pages, which has never heard of any other memory. */

import type { Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { type Skb, SkbCache } from '../skb/skb.ts'
import { pageDmaMap } from './dma-map.ts'
import type { DriverNic } from './driver-nic.ts'
import { DriverQueues, type QueueOptions, sharedMemoryOf } from './driver-queues.ts'
import type { DriverQueueStats, SkbMaker } from './rx-queue.ts'

/** What a page driver receives into, and where its packets go. */
export interface PageDriverOptions extends QueueOptions {
  /** The payload pool of each queue, from queue 0 on; shared between threads. */
  readonly pools: readonly PagePool<Page>[]
  /** Gets every packet, and frees it. */
  readonly deliver: (skb: Skb<Page>) => void
}

/**
 * Receives into pages alone: what it delivers is readable.
 *
 * ```ts
 * import { createPool, sharedProvider } from 'netmem'
 * import { openDeviceThread, PageDriver } from 'netmem/stack'
 *
 * const device = await openDeviceThread()
 * device.ref() // who waits for packets is not done
 * const nic = await device.nic({ link: { kind: 'generator', totalBytes: 14_480 }, up: false })
 * const driver = await PageDriver.open(nic, {
 *   headerPool: createPool(sharedProvider({ pages: 64, pageSize: 4096 })),
 *   pools: [createPool(sharedProvider({ pages: 256, pageSize: 4096 }))],
 *   deliver: (skb) => {
 *     console.log(skb.headLength, skb.dataLength) // 54 bytes of headers, 1448 in a page
 *     skb.free()
 *   },
 * })
 * driver.run()
 * await nic.up()
 * await nic.ended // ten packets have arrived
 * await driver.close() // and are delivered
 * await device.close()
 * ```
 */
export class PageDriver implements AsyncDisposable {
  readonly #queues: DriverQueues<Page, Skb<Page>>

  private constructor(queues: DriverQueues<Page, Skb<Page>>) {
    this.#queues = queues
  }

  /**
   * Starts a queue for each pool. Rejects with NETMEM_NOT_SHARED, NETMEM_BUSY for a pool that is
   * too small, NETMEM_QUEUE_START, and NETMEM_OUT_OF_RANGE.
   */
  static async open(nic: DriverNic, options: PageDriverOptions): Promise<PageDriver> {
    const queues = new DriverQueues<Page, Skb<Page>>(nic, options)
    try {
      for (const [queue, pool] of options.pools.entries()) {
        const region = await queues.map(sharedMemoryOf(pool, (page) => page))
        const maker = pageMaker(pool, options)
        const map = pageDmaMap(pool, region)
        await queues.replace(await queues.prepare({ queue, pool, map, maker }, false))
      }
    } catch (error) {
      await queues.stopAll()
      throw error
    }
    return new PageDriver(queues)
  }

  /** Polls by itself from now on, until it is closed. */
  run(): void {
    this.#queues.napi.start()
  }

  /** Handles at most `budget` packets of each queue; returns how many there were. */
  poll(budget?: number): number {
    return this.#queues.napi.poll(budget)
  }

  /**
   * Sends an skb of pages and takes it over: its memory goes back once the NIC has sent it, which
   * polling finds out. The NIC writes its checksums. False, and the skb stays the caller's, while
   * there is no room. Throws NETMEM_UNREADABLE for device memory, NETMEM_NOT_SHARED for pages of a
   * pool that is not this driver's, NETMEM_SKB_FREED, NETMEM_OUT_OF_RANGE for more linear bytes than
   * `headerBytes`, NETMEM_DEVICE_CLOSED, and what the NIC refused the queue for.
   */
  transmit(skb: Skb<Page>): boolean {
    return this.#queues.transmit(skb)
  }

  /** Posts buffers again after memory came back to a dry pool; receiving does so by itself. */
  refill(): void {
    this.#queues.refill()
  }

  /** What a queue has counted; `undefined` when it does not run. */
  stats(queue: number): DriverQueueStats | undefined {
    return this.#queues.stats(queue)
  }

  /** Stops all queues and gives back what is posted; packets that were delivered stay valid. */
  close(): Promise<void> {
    return this.#queues.stopAll()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function pageMaker(
  pool: PagePool<Page>,
  { headerBytes = 256, deliver }: PageDriverOptions,
): SkbMaker<Page, Skb<Page>> {
  const cache = SkbCache.ofPages(pool, headerBytes)
  return {
    begin: () => cache.take(),
    add: (skb, page, keeper, offset, length) => skb.addFrag(page, keeper, offset, length),
    bytes: (page) => pool.bytes(page),
    deliver,
  }
}
