/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The driver that handles both kinds of memory, and says so: headers from a pool of pages, payload
 * from dual pools. It alone can be bound to device memory.
 */

import { isNetIov, isPage, type Netmem, type Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { type AnySkb, type IovPlaces, type Skb, SkbCache } from '../skb/skb.ts'
import { type DmaMap, dualPageDmaMap } from './dma-map.ts'
import type { DriverNic } from './driver-nic.ts'
import { DriverQueues, type QueueOptions, sharedMemoryOf } from './driver-queues.ts'
import type { DriverQueueStats, SkbMaker } from './rx-queue.ts'

/** What a netmem driver receives into, and where its packets go. */
export interface NetmemDriverOptions extends QueueOptions {
  /** The payload pool of each queue, from queue 0 on: dual pools of pages that threads share. */
  readonly pools: readonly PagePool<Netmem>[]
  /** Gets every packet, and frees it. */
  readonly deliver: (skb: AnySkb) => void
}

export class NetmemDriver implements AsyncDisposable {
  readonly nic: DriverNic
  /** @internal */
  readonly queues: DriverQueues<Netmem, AnySkb>
  /** @internal Queues that are bound, or being bound. */
  readonly bound: Set<number> = new Set()
  /** @internal */
  readonly bindings: Set<{ uninstall(): void }> = new Set()
  readonly #options: NetmemDriverOptions
  #closing: Promise<void> | undefined
  readonly #regions: readonly number[]

  private constructor(
    nic: DriverNic,
    queues: DriverQueues<Netmem, AnySkb>,
    options: NetmemDriverOptions,
    regions: readonly number[],
  ) {
    this.nic = nic
    this.queues = queues
    this.#options = options
    this.#regions = regions
  }

  /** As `PageDriver.open`; rejects with NETMEM_WRONG_KIND for a pool of device memory, which `bindRx` gives a queue. */
  static async open(nic: DriverNic, options: NetmemDriverOptions): Promise<NetmemDriver> {
    const queues = new DriverQueues<Netmem, AnySkb>(nic, options)
    const regions: number[] = []
    try {
      for (const pool of options.pools) {
        const memory = sharedMemoryOf(pool, (m) => (isPage(m) ? m : undefined))
        regions.push(await queues.map(memory))
      }
      const driver = new NetmemDriver(nic, queues, options, regions)
      for (const queue of options.pools.keys()) await driver.usePages(queue)
      return driver
    } catch (error) {
      await queues.stopAll()
      throw error
    }
  }

  /** RX queues that it runs. */
  get queueCount(): number {
    return this.#options.pools.length
  }

  /** Whether headers are split from payload, all of them: what device memory needs. */
  get splitsHeaders(): boolean {
    const { split = 'headers', splitThresholdBytes = 0 } = this.#options
    return split === 'headers' && splitThresholdBytes === 0
  }

  /** Bytes of the buffers it posts. */
  get bufferBytes(): number {
    return this.#options.bufferBytes ?? this.#options.pools[0]?.pageSize ?? 0
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Polls by itself from now on, until it is closed. */
  run(): void {
    this.queues.napi.start()
  }

  /** Handles at most `budget` packets of each queue; returns how many there were. */
  poll(budget?: number): number {
    return this.queues.napi.poll(budget)
  }

  /**
   * Sends an skb of pages and takes it over: its memory goes back once the NIC has sent it, which
   * polling finds out. The NIC writes its checksums. False, and the skb stays the caller's, while
   * there is no room. Throws NETMEM_UNREADABLE for device memory, NETMEM_NOT_SHARED for pages of a
   * pool that is not this driver's, NETMEM_SKB_FREED, NETMEM_OUT_OF_RANGE for more linear bytes than
   * `headerBytes`, NETMEM_DEVICE_CLOSED, and what the NIC refused the queue for.
   */
  transmit(skb: Skb<Page>): boolean {
    return this.queues.transmit(skb)
  }

  /** Posts buffers again after memory came back to a dry pool; receiving does so by itself. */
  refill(): void {
    this.queues.refill()
  }

  /** What a queue has counted; `undefined` when it does not run. */
  stats(queue: number): DriverQueueStats | undefined {
    return this.queues.stats(queue)
  }

  /**
   * Stops all queues and gives back what is posted; packets that were delivered stay valid. To what
   * is bound the device is gone then.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.queues.stopAll()
    for (const binding of [...this.bindings]) binding.uninstall()
  }

  /** @internal Restarts a queue with memory of `pool`. */
  async use(
    queue: number,
    pool: PagePool<Netmem>,
    map: DmaMap<Netmem>,
    places?: IovPlaces,
  ): Promise<void> {
    const maker = netmemMaker(pool, this.#options, places)
    const bound = pool.kind === 'net_iov'
    await this.queues.replace(await this.queues.prepare({ queue, pool, map, maker }, bound))
  }

  /** @internal Restarts a queue with its pool of pages. */
  async usePages(queue: number): Promise<void> {
    const pool = this.#options.pools[queue]
    const region = this.#regions[queue]
    if (pool === undefined || region === undefined) return
    await this.use(queue, pool, dualPageDmaMap(pool, region))
  }
}

function netmemMaker(
  pool: PagePool<Netmem>,
  { headerBytes = 256, deliver }: NetmemDriverOptions,
  places: IovPlaces | undefined,
): SkbMaker<Netmem, AnySkb> {
  const pages = SkbCache.ofPages(pool, headerBytes)
  const netIovs = SkbCache.ofNetIovs(pool, headerBytes, places)
  // A pool's memory is of one kind, so no packet has to ask for it.
  const cache: { readonly take: () => AnySkb } = pool.kind === 'page' ? pages : netIovs
  return {
    begin: (m) => (m === undefined ? pages : cache).take(),
    add: (skb, m, keeper, offset, length) => {
      if (skb.kind === 'page') return isPage(m) && skb.addFrag(m, keeper, offset, length)
      return isNetIov(m) && skb.addFrag(m, keeper, offset, length)
    },
    bytes: (m) => (isPage(m) ? pool.bytes(m) : undefined),
    deliver,
  }
}
