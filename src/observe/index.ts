/**
 * Page pools seen from outside: the kernel's, and those of netmem processes that offer them. What
 * `netmem pools` shows is made of this.
 */

export {
  type KernelPool,
  type KernelPoolInterface,
  type KernelPoolMemory,
  type KernelPools,
  kernelPools,
  type PagePoolCounters,
} from './kernel-pools.ts'
export type { OfferedPool, PoolOfferReport } from './offer.ts'
export { offerPools, type PoolOffer } from './offer-pools.ts'
export { type OfferedPools, offeredPools } from './offered-pools.ts'
