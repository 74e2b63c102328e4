/// <reference lib="esnext.disposable" preserve="true" />
/**
 * netmem: network data straight into memory its user owns. This is its core: handles, page pool,
 * providers of host memory, errors. Sockets are in `netmem/net`.
 *
 * Read on: `netmem.ts` (what a handle is), `pool/page-pool.ts` (the pool), `pool/frag.ts` (what an
 * application holds), `pool/memory-provider.ts` (what a provider is), `providers/` (those there are).
 *
 * @module
 */

export {
  ArgumentRangeError,
  ArgumentTypeError,
  ConnectionError,
  type ErrorCode,
  HandleError,
  isNetmemError,
  LifetimeError,
  NetmemError,
} from './errors.ts'
export {
  type Binding,
  type Exactly,
  isNetIov,
  isPage,
  type NetIov,
  type Netmem,
  type Page,
  type Place,
  release,
  retain,
} from './netmem.ts'
export { type AttachedPool, attachPool } from './pool/attached-pool.ts'
export { RX_COPYBREAK } from './pool/copies.ts'
export { createFrag } from './pool/create-frag.ts'
export type { PagePoolOptions } from './pool/create-pool.ts'
export { createPool, dualPool } from './pool/create-pool.ts'
export type { DryReport } from './pool/dry-report.ts'
export type {
  BorrowedFrag,
  DeviceFrag,
  Frag,
  HostFrag,
  ReadableFrag,
} from './pool/frag.ts'
export type { DestroyReport, LeakReport } from './pool/leaks.ts'
export type { Borrower, Lent, PoolShare } from './pool/lent.ts'
export type {
  MemoryProvider,
  NetIovProvider,
  PageProvider,
  Slots,
} from './pool/memory-provider.ts'
export type { PagePool } from './pool/page-pool.ts'
export { type PoolHolders, type PoolReport, pools } from './pool/pools.ts'
export type { Reservation } from './pool/reservation.ts'
export type { PagePoolStats } from './pool/stats.ts'
export { externalProvider } from './providers/external.ts'
export { hostProvider } from './providers/host.ts'
export type { PageLayout } from './providers/page-layout.ts'
export { sharedProvider } from './providers/shared.ts'
export { createSlotAllocator } from './providers/slot-allocator.ts'
