/**
 * Device memory for tests: net_iovs of a dma-buf that does not exist. It has no readable bytes, and no
 * data arrives in it. Pools, drivers and frags treat it as device memory.
 */

import { checkInteger } from '../errors.ts'
import { MAX_SLOTS, type NetIov } from '../netmem.ts'
import { checkPageSize, type NetIovProvider } from '../pool/memory-provider.ts'
import { createSlotAllocator } from '../providers/slot-allocator.ts'

/** Number of net_iovs, and their size. */
export interface DeviceLayout {
  /** Number of net_iovs: 1 to 131,008, which all pools of a thread have together. */
  readonly netIovs: number
  /** Bytes of each: a power of two, 4 KiB to 1 GiB. Default: 4 KiB. */
  readonly pageSize?: number
  /** The binding they belong to. Default: 1. */
  readonly bindingId?: number
}

/**
 * Provides net_iovs of an imaginary dma-buf, one after the other from its start.
 *
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT for other layouts.
 *
 * @example
 * ```ts
 * import { createPool, isPage } from 'netmem'
 * import { testDeviceProvider } from 'netmem/testing'
 *
 * const pool = createPool(testDeviceProvider({ netIovs: 64 }))
 * const iov = pool.alloc()
 * if (iov !== undefined) {
 *   console.log(isPage(iov)) // false; pool.bytes(iov) does not compile
 *   pool.put(iov)
 * }
 * await pool.destroy()
 * ```
 */
export function testDeviceProvider(layout: DeviceLayout): NetIovProvider {
  const netIovs = checkInteger('netIovs', layout?.netIovs, 1, MAX_SLOTS)
  const pageSize = checkPageSize(layout.pageSize ?? 4096)
  const id = checkInteger('bindingId', layout.bindingId ?? 1, 1, 2 ** 32 - 1)
  const { slot, ...operations } = createSlotAllocator<NetIov>(netIovs)
  return {
    kind: 'net_iov',
    pageSize,
    capacity: netIovs,
    ...operations,
    binding: { id },
    offset: (iov) => slot(iov) * pageSize,
  }
}
