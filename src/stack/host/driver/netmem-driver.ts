/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Driver of both kinds of memory: headers from a pool of pages, payload from dual pools. It alone
 * can be bound to device memory.
 */

import { isNetIov, isPage, type Netmem } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { AnySkb } from '../skb/skb.ts'
import { createNetIovSkbCache, createPageSkbCache } from '../skb/skb-cache.ts'
import { Driver } from './driver.ts'
import type { DriverNic } from './driver-nic.ts'
import { driverOptions, type QueueOptions, type SkbMaker } from './queue-options.ts'

/** Options of {@link openNetmemDriver}. */
export interface NetmemDriverOptions extends QueueOptions {
  /** Payload pool of each queue, from queue 0 on: dual pools of pages that threads share. */
  readonly pools: readonly PagePool<Netmem>[]
  /** Called with every packet, which it frees. */
  readonly deliver: (skb: AnySkb) => void
}

/** Driver that receives into pages, and into device memory where `bindRx` binds a queue to it. */
export class NetmemDriver extends Driver<Netmem, AnySkb> {
  /** @internal Queues that are bound, or being bound. */
  readonly bound: Set<number> = new Set()

  /** @internal */
  override skbsOf(pool: PagePool<Netmem>, headBytes: number): SkbMaker<Netmem, AnySkb> {
    const pages = createPageSkbCache(pool, headBytes)
    const netIovs = createNetIovSkbCache(pool, headBytes)
    // A pool's memory is of one kind, so no packet has to ask for it.
    const cache: { readonly take: () => AnySkb } = pool.kind === 'page' ? pages : netIovs
    return {
      begin: (m) => (m === undefined ? pages : cache).take(),
      add: (skb, m, offset, length) => {
        if (skb.kind === 'page') return isPage(m) && skb.addFrag(m, offset, length)
        return isNetIov(m) && skb.addFrag(m, offset, length)
      },
    }
  }
}

/**
 * Opens a driver of both kinds of memory and starts a queue of pages for each pool.
 *
 * @throws NETMEM_WRONG_KIND for a pool of device memory, which `bindRx` gives a queue.
 * @throws NETMEM_INVALID_ARGUMENT for an unknown option.
 * @throws NETMEM_OUT_OF_RANGE for an option outside its range.
 * @throws NETMEM_NOT_SHARED for a pool whose memory belongs to one thread.
 * @throws NETMEM_POOL_DRY for a pool that is too small.
 * @throws NETMEM_NIC_CONFIG or NETMEM_NIC_BUSY if the NIC does not start a queue.
 */
export async function openNetmemDriver(
  nic: DriverNic,
  options: NetmemDriverOptions,
): Promise<NetmemDriver> {
  return await new NetmemDriver(nic, driverOptions('openNetmemDriver()', options)).start()
}
