/** DMA addresses of memory: what a driver writes into its descriptors. */

import { HandleError } from '../../../errors.ts'
import { isNetIov, isPage, type NetIov, type Netmem } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'

/** DMA addresses of one pool's memory. */
export interface DmaMap<in M extends Netmem> {
  readonly region: (m: M) => number
  /** Bytes from the region's start. */
  readonly offset: (m: M) => number
}

/** Returns the map of a pool whose pages lie in one shared memory, which is mapped as `region`. */
export function pageDmaMap<M extends Netmem>(pool: PagePool<M>, region: number): DmaMap<M> {
  const offset = (m: M): number => (isPage(m) ? pool.bytes(m).byteOffset : wrongKind())
  return { region: () => region, offset }
}

/** Returns the map of net_iovs, of which the provider knows where they are. */
export function netIovDmaMap(provider: {
  readonly dmaRegion: (iov: NetIov) => number
  readonly dmaOffset: (iov: NetIov) => number
}): DmaMap<Netmem> {
  return {
    region: (m) => (isNetIov(m) ? provider.dmaRegion(m) : wrongKind()),
    offset: (m) => (isNetIov(m) ? provider.dmaOffset(m) : wrongKind()),
  }
}

function wrongKind(): never {
  throw new HandleError('NETMEM_WRONG_KIND', 'This queue was set up for memory of the other kind.')
}
