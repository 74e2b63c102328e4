/** Memory of a replay: pools, a driver over them, and hashes of the bytes that land there. */

import type { Netmem, Page } from '../../netmem.ts'
import { createPool, dualPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { sharedProvider } from '../../providers/shared.ts'
import type { DeviceMemory, DmaBuf } from '../host/device/device-memory.ts'
import type { DeviceThread } from '../host/device/device-thread.ts'
import type { Nic } from '../host/device/nic.ts'
import { bindRx, type RxBinding } from '../host/driver/bind-rx.ts'
import { type NetmemDriver, openNetmemDriver } from '../host/driver/netmem-driver.ts'
import { openPageDriver } from '../host/driver/page-driver.ts'
import type { QueueOptions } from '../host/driver/queue-options.ts'
import type { DriverQueueStats } from '../host/driver/rx-queue.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { DeviceHashing } from './device-hashing.ts'
import { HostHash, type StreamHash } from './stream-hash.ts'

/**
 * Bytes of a buffer, which is a page or net_iov.
 *
 * Copies to shared memory are fast where they are aligned, which the second of two merged segments
 * is not. Hence pages have room for a jumbo frame, and for few small ones. Device memory is not
 * shared, and hashing prefers long pieces.
 */
const BUFFER_BYTES = { page: 16 * 1024, device: 64 * 1024 } as const
/** Bytes of all queues' pools together. A queue has at least {@link LEAST_POOL_BYTES}. */
const POOL_BYTES = 64 * 2 ** 20
const LEAST_POOL_BYTES = 4 * 2 ** 20
/**
 * Posted part of a queue's pool, with room for the longest frames. The buffers in use should stay
 * in a processor's cache.
 */
const RING_PART = 16
const LEAST_RING_BYTES = 2 ** 20
/** Part of the pool that may wait to be hashed. */
const HASH_PART = 4
const HEADER_BYTES = 256
const HEADER_PAGE_BYTES = 4096

export interface ReplayMemoryOptions {
  readonly memory: 'page' | 'device'
  readonly queues: number
  readonly headerSplit: boolean
  /** True if the NIC merges consecutive segments into one packet. */
  readonly coalesce: boolean
  /** Gets every packet, and frees it. */
  readonly deliver: (skb: AnySkb) => void
}

/** Opened by {@link openReplayMemory}. */
export interface ReplayMemory {
  /** Delivers the packets that have arrived, and returns their number. */
  poll(): number
  makeHash(): StreamHash
  /** Sends waiting ranges to be hashed, so that their memory comes back. */
  flush(): void
  /** True while memory is on its way back. */
  readonly busy: boolean
  /** Returns the driver's counters of all queues together. */
  stats(): DriverQueueStats
  /** Frees the skbs that were not hashed yet. */
  abandon(): void
  /**
   * Stops the queues. Resolves when all memory has come back, so the caller frees its skbs before.
   */
  close(): Promise<void>
}

/**
 * Starts the queues of a NIC. A failed start returns all memory.
 *
 * @throws as the driver's open function and `bindRx`.
 */
export function openReplayMemory(
  device: DeviceThread,
  nic: Nic,
  options: ReplayMemoryOptions,
): Promise<ReplayMemory> {
  return options.memory === 'page' ? openPages(nic, options) : openDevice(device, nic, options)
}

async function openPages(nic: Nic, options: ReplayMemoryOptions): Promise<ReplayMemory> {
  const pools: PagePool<Page>[] = []
  const { pages, pageSize, headerPool, queueOptions } = layOut(options)
  for (let queue = 0; queue < options.queues; queue++) {
    pools.push(createPool(sharedProvider({ pages, pageSize })))
  }
  const destroy = (): Promise<unknown> => destroyAll([...pools, headerPool])
  try {
    const { deliver } = options
    const driver = await openPageDriver(nic, { ...queueOptions, pools, deliver })
    return {
      poll: () => driver.poll(),
      makeHash: () => new HostHash(),
      flush: () => {},
      busy: false,
      stats: () => sum(options.queues, (queue) => driver.stats(queue)),
      abandon: () => {},
      close: async () => {
        await driver.close()
        await destroy()
      },
    }
  } catch (error) {
    await destroy()
    throw error
  }
}

async function openDevice(
  device: DeviceThread,
  nic: Nic,
  options: ReplayMemoryOptions,
): Promise<ReplayMemory> {
  const { pages, pageSize, headerPool, queueOptions } = layOut(options)
  // The driver starts with pages, and is bound before the first frame.
  const pools: PagePool<Netmem>[] = []
  for (let queue = 0; queue < options.queues; queue++) {
    pools.push(dualPool(sharedProvider({ pages: 1, pageSize })))
  }
  let driver: NetmemDriver | undefined
  let bound: Bound | undefined
  const close = async (): Promise<void> => {
    await driver?.close()
    await bound?.binding.released()
    await bound?.dmabuf.close()
    await bound?.memory.close()
    await destroyAll([...pools, headerPool])
  }
  try {
    const { deliver } = options
    const opened = await openNetmemDriver(nic, { ...queueOptions, pools, deliver })
    driver = opened
    const { binding, dmabuf, memory } = await bindAll(device, opened, pages * pageSize)
    bound = { binding, dmabuf, memory }
    const hashing = new DeviceHashing(device, dmabuf, pages / HASH_PART)
    return {
      poll: () => opened.poll(),
      makeHash: () => hashing.make(),
      flush: () => hashing.flush(),
      get busy() {
        return hashing.busy
      },
      stats: () => sum(options.queues, (queue) => opened.stats(queue)),
      abandon: () => hashing.abandon(),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Device memory with the dma-buf and binding of it. */
interface Bound {
  readonly binding: RxBinding
  readonly dmabuf: DmaBuf
  readonly memory: DeviceMemory
}

/** Allocates device memory for all queues of a driver, and binds it to them. */
async function bindAll(
  device: DeviceThread,
  driver: NetmemDriver,
  bytesPerQueue: number,
): Promise<Bound> {
  const bytes = driver.options.pools.length * bytesPerQueue
  const memory = await device.openMemory(bytes)
  const dmabuf = await memory.exportDmaBuf({ bytes })
  const queues = Array.from({ length: driver.options.pools.length }, (_, queue) => queue)
  return { binding: await bindRx(driver, { dmabuf, queues }), dmabuf, memory }
}

/** Sizes of each queue's pools and rings. */
function layOut(options: ReplayMemoryOptions): {
  readonly pages: number
  readonly pageSize: number
  readonly headerPool: PagePool<Page>
  readonly queueOptions: QueueOptions
} {
  const { queues, headerSplit, coalesce } = options
  const pageSize = BUFFER_BYTES[options.memory]
  const each = Math.max(LEAST_POOL_BYTES, POOL_BYTES / 2 ** Math.ceil(Math.log2(queues)))
  const ringSize = Math.max(LEAST_RING_BYTES, each / RING_PART) / pageSize
  const headerPages = Math.ceil((ringSize * HEADER_BYTES) / HEADER_PAGE_BYTES)
  // One queue more: a bound queue gets its new header buffers before it returns the old ones.
  const headerPool = createPool(
    sharedProvider({ pages: (queues + 1) * headerPages, pageSize: HEADER_PAGE_BYTES }),
  )
  const queueOptions: QueueOptions = {
    headerPool,
    ringSize,
    bufferBytes: pageSize,
    headerBytes: HEADER_BYTES,
    split: headerSplit ? 'headers' : 'off',
    coalesce,
  }
  return { pages: each / pageSize, pageSize, headerPool, queueOptions }
}

async function destroyAll(pools: readonly (PagePool<Page> | PagePool<Netmem>)[]): Promise<void> {
  for (const pool of pools) await pool.destroy()
}

function sum(
  queues: number,
  stats: (queue: number) => DriverQueueStats | undefined,
): DriverQueueStats {
  const all: DriverQueueStats = {
    rx_packets: 0,
    rx_dropped_unsplit: 0,
    rx_dropped_frags: 0,
    rx_dma_faults: 0,
    rx_alloc_fail: 0,
  }
  for (let queue = 0; queue < queues; queue++) {
    const one = stats(queue)
    if (one === undefined) continue
    all.rx_packets += one.rx_packets
    all.rx_dropped_unsplit += one.rx_dropped_unsplit
    all.rx_dropped_frags += one.rx_dropped_frags
    all.rx_dma_faults += one.rx_dma_faults
    all.rx_alloc_fail += one.rx_alloc_fail
  }
  return all
}
