/** Memory of a replay: pools, a driver over them, and hashes of the bytes that land there. */

import type { Netmem, Page } from '../../netmem.ts'
import { createPool, dualPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { sharedProvider } from '../../providers/shared.ts'
import type { DmaBuf } from '../host/device/device-memory.ts'
import type { DeviceThread } from '../host/device/device-thread.ts'
import type { Nic } from '../host/device/nic.ts'
import { bindRx } from '../host/driver/bind-rx.ts'
import { type NetmemDriver, openNetmemDriver } from '../host/driver/netmem-driver.ts'
import type { QueueOptions } from '../host/driver/queue-options.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { DeviceHashing } from './device-hashing.ts'

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
  readonly driver: NetmemDriver
  /** Hashes bytes where they are in device memory. `undefined` for pages. */
  readonly hashing: DeviceHashing | undefined
  /**
   * Stops the queues. Resolves when all memory has come back, so the caller frees its skbs before.
   */
  close(): Promise<void>
}

/**
 * Starts the queues of a NIC. A failed start returns all memory.
 *
 * @throws as `openNetmemDriver` and `bindRx`.
 */
export async function openReplayMemory(
  device: DeviceThread,
  nic: Nic,
  options: ReplayMemoryOptions,
): Promise<ReplayMemory> {
  const { pages, pageSize, headerPool, queueOptions } = layOut(options)
  const { queues, memory, deliver } = options
  const pools: PagePool<Netmem>[] = []
  for (let queue = 0; queue < queues; queue++) {
    // A driver of device memory starts with pages too, and is bound before the first frame.
    pools.push(dualPool(sharedProvider({ pages: memory === 'page' ? pages : 1, pageSize })))
  }
  let driver: NetmemDriver | undefined
  let bound: Bound | undefined
  const close = async (): Promise<void> => {
    await driver?.close()
    await bound?.release()
    for (const pool of [...pools, headerPool]) await pool.destroy()
  }
  try {
    driver = await openNetmemDriver(nic, { ...queueOptions, pools, deliver })
    if (memory === 'device') bound = await bindAll(device, driver, pages * pageSize)
    const hashing = bound && new DeviceHashing(device, bound.dmabuf, pages / HASH_PART)
    return { driver, hashing, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** A dma-buf that is bound to queues. */
interface Bound {
  readonly dmabuf: DmaBuf
  /** Frees the device memory, once the queues are stopped. */
  release(): Promise<void>
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
  const queues = [...driver.options.pools.keys()]
  const binding = await bindRx(driver, { dmabuf, queues })
  return {
    dmabuf,
    async release() {
      await binding.released()
      await dmabuf.close()
      await memory.close()
    },
  }
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
