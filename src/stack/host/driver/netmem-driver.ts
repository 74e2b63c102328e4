/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Driver of both kinds of memory: headers from a pool of pages, payload from dual pools. It alone
 * can be bound to device memory.
 */

import { ownOptions } from '../../../errors.ts'
import { isNetIov, isPage, type Netmem } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { AnySkb } from '../skb/skb.ts'
import { createNetIovSkbCache, createPageSkbCache } from '../skb/skb-cache.ts'
import type { DmaMap } from './dma-map.ts'
import { Driver, QUEUE_OPTIONS, type QueueMemory, type QueueOptions } from './driver.ts'
import type { DriverNic } from './driver-nic.ts'

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
  readonly bindings: Set<{ uninstall(): void }> = new Set()
  /** @internal True if all headers are split from payload, as device memory needs. */
  readonly splitsHeaders: boolean
  /** @internal Bytes of the buffers it posts. */
  readonly bufferBytes: number
  readonly #headerBytes: number
  readonly #deliver: NetmemDriverOptions['deliver']

  /** @internal */
  constructor(nic: DriverNic, options: NetmemDriverOptions) {
    const { pools, split = 'headers', splitThresholdBytes = 0, headerBytes = 256 } = options
    super(
      nic,
      options,
      pools.map((pool) => netmemMemory(pool, headerBytes, options.deliver)),
    )
    this.splitsHeaders = split === 'headers' && splitThresholdBytes === 0
    this.bufferBytes = options.bufferBytes ?? pools[0]?.pageSize ?? 0
    this.#headerBytes = headerBytes
    this.#deliver = options.deliver
  }

  /** @internal Restarts a queue with device memory. */
  async useDeviceMemory(queue: number, pool: PagePool<Netmem>, map: DmaMap<Netmem>): Promise<void> {
    const memory = netmemMemory(pool, this.#headerBytes, this.#deliver)
    await this.restart(queue, memory, map, true)
  }

  /** @internal */
  override stopped(): void {
    for (const binding of [...this.bindings]) binding.uninstall()
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
  const names = { ...QUEUE_OPTIONS, pools: true, deliver: true } as const
  return await new NetmemDriver(nic, ownOptions('openNetmemDriver()', options, names)).start()
}

function netmemMemory(
  pool: PagePool<Netmem>,
  headerBytes: number,
  deliver: NetmemDriverOptions['deliver'],
): QueueMemory<Netmem, AnySkb> {
  const pages = createPageSkbCache(pool, headerBytes)
  const netIovs = createNetIovSkbCache(pool, headerBytes)
  // A pool's memory is of one kind, so no packet has to ask for it.
  const cache: { readonly take: () => AnySkb } = pool.kind === 'page' ? pages : netIovs
  const maker: QueueMemory<Netmem, AnySkb>['maker'] = {
    begin: (m) => (m === undefined ? pages : cache).take(),
    add: (skb, m, offset, length) => {
      if (skb.kind === 'page') return isPage(m) && skb.addFrag(m, offset, length)
      return isNetIov(m) && skb.addFrag(m, offset, length)
    },
    deliver,
  }
  return { pool, maker }
}
