/** Where the memory of a pool is for a device: what a driver writes into its descriptors. */

import { HandleError } from '../../../errors.ts'
import { isNetIov, type NetIov, type Netmem } from '../../../netmem.ts'

/** DMA addresses of one pool's memory. */
export interface DmaMap<in M extends Netmem> {
  readonly region: (m: M) => number
  /** Bytes from the region's start. */
  readonly offset: (m: M) => number
}

/** A dual pool of net_iovs: the provider knows where they are. */
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
