/// <reference lib="esnext.disposable" preserve="true" />
/** Driver of plain pages: it knows no other memory. */

import type { Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { Skb } from '../skb/skb.ts'
import { createPageSkbCache } from '../skb/skb-cache.ts'
import { Driver } from './driver.ts'
import type { DriverNic } from './driver-nic.ts'
import { driverOptions, type QueueOptions, type SkbMaker } from './queue-options.ts'

/** Options of {@link openPageDriver}. */
export interface PageDriverOptions extends QueueOptions {
  /** Payload pool of each queue, from queue 0 on: pages that threads share. */
  readonly pools: readonly PagePool<Page>[]
  /** Called with every packet, which it frees. */
  readonly deliver: (skb: Skb<Page>) => void
}

/** Driver that receives into pages alone: what it delivers is readable. */
export class PageDriver extends Driver<Page, Skb<Page>> {
  /** @internal */
  override skbsOf(pool: PagePool<Page>, headBytes: number): SkbMaker<Page, Skb<Page>> {
    const cache = createPageSkbCache(pool, headBytes)
    return {
      begin: () => cache.take(),
      add: (skb, page, offset, length) => skb.addFrag(page, offset, length),
    }
  }
}

/**
 * Opens a driver of plain pages and starts a queue for each pool.
 *
 * @throws NETMEM_INVALID_ARGUMENT for an unknown option.
 * @throws NETMEM_OUT_OF_RANGE for an option outside its range.
 * @throws NETMEM_NOT_SHARED for a pool whose memory belongs to one thread.
 * @throws NETMEM_POOL_DRY for a pool that is too small.
 * @throws NETMEM_NIC_CONFIG or NETMEM_NIC_BUSY if the NIC does not start a queue.
 *
 * @example
 * ```ts
 * import { createPool, sharedProvider } from 'netmem'
 * import { openDeviceThread, openPageDriver } from 'netmem/stack'
 *
 * const device = await openDeviceThread()
 * device.ref() // keeps the process alive while it waits for packets
 * const nic = await device.openNic({ link: { kind: 'generator', totalBytes: 14_480 }, up: false })
 * const driver = await openPageDriver(nic, {
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
export async function openPageDriver(
  nic: DriverNic,
  options: PageDriverOptions,
): Promise<PageDriver> {
  return await new PageDriver(nic, driverOptions('openPageDriver()', options)).start()
}
