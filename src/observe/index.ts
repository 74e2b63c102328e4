/**
 * Page pools seen from outside: the kernel's pools, and the pools that netmem processes offer. `netmem
 * pools` shows them.
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
