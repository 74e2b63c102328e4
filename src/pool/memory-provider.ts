/**
 * Source of a pool's memory, which takes it back: the kernel's memory provider (Linux,
 * include/net/page_pool/memory_provider.h). The pool keeps the fast path, the accounting and the
 * lifetime. A provider hands out free memory and takes it back.
 *
 * Operations are properties holding functions, not methods, so that TypeScript checks their
 * parameters strictly.
 */

import { ArgumentRangeError, ArgumentTypeError } from '../errors.ts'
import type { Binding, Exactly, KindOf, NetIov, Netmem, Page } from '../netmem.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_PROVIDER_BUSY: 'LifetimeError'
    NETMEM_PROVIDER_UNOPENED: 'LifetimeError'
    NETMEM_PROVIDER_BROKEN: 'LifetimeError'
  }
}

/** Maker of a provider's handles, which the pool that opens it passes to `init`. */
export interface Slots<in out M extends Netmem> {
  /** The handle of a slot that is free, 0 to capacity − 1. */
  readonly mint: (slot: number) => M
  /** The slot of a handle. */
  readonly slot: (m: Exactly<M>) => number
}

/** Operations of all providers. */
export interface MemoryProvider<in out M extends Netmem> {
  readonly kind: KindOf<M>
  /** Bytes of each piece of memory: a power of two, 4 KiB to 1 GiB. */
  readonly pageSize: number
  /** Pieces it has in all. */
  readonly capacity: number
  /**
   * Called once by the pool that opens it.
   *
   * @throws NETMEM_PROVIDER_BUSY while another pool has it open.
   */
  readonly init: (slots: Slots<M>) => void
  /** Gives at most `want` free handles, or an empty list when no memory is left. */
  readonly alloc: (want: number, give: (m: M) => void) => void
  /**
   * Set by a provider that may be dry for a while though memory of it is free, such as staging memory of
   * a GPU that is mapped again later. Its `alloc` then gives less than asked for. The pool that opened it
   * passes one `listener` after `init`. The provider calls it as soon as it has memory again after an
   * `alloc` that gave none. Without it, `alloc` gives all free memory.
   */
  readonly onAvailable?: (listener: () => void) => void
  /** Takes a handle back. */
  readonly release: (m: Exactly<M>) => void
  /** The pool is gone, and all memory has been released. */
  readonly destroy: () => void
  /** Counters that only the provider knows. 0 without it. */
  readonly counters?: {
    /** Pages that were not recycled, as the kernel counts them. */
    readonly waive: number
    /** Allocations of more than one page at once. */
    readonly slow_high_order: number
  }
}

/** A provider of host-readable memory. */
export interface PageProvider extends MemoryProvider<Page> {
  /** A view of exactly the page's bytes. */
  readonly bytes: (page: Exactly<Page>) => Uint8Array
  /**
   * True if the memory can be detached, shrunk or unmapped while a pool has it. Sockets then post
   * it only where that cannot happen before the read. False is a promise: the memory of a
   * `WebAssembly.Memory` and a SharedArrayBuffer keep it, a plain ArrayBuffer does not.
   * True by default, unless `shared` is set.
   */
  readonly mayMove?: boolean
  /** The memory of all pages, one after the other from byte `offset`, where threads can share it. */
  readonly shared?: {
    /** Buffer that all pages are in. */
    readonly buffer: SharedArrayBuffer
    /** Offset of the first page. */
    readonly offset: number
  }
}

/** A provider of device memory. */
export interface NetIovProvider extends MemoryProvider<NetIov> {
  /** Binding of the dma-buf that the memory belongs to. */
  readonly binding: Binding
  /** Bytes from the dma-buf's start to the net_iov. */
  readonly offset: (iov: Exactly<NetIov>) => number
}

/** A provider of one kind or the other. */
export type AnyProvider = PageProvider | NetIovProvider

/** Throws NETMEM_INVALID_ARGUMENT for what is no provider, or lacks an operation. */
export function checkProvider(provider: unknown): void {
  const part = (name: string): unknown =>
    typeof provider === 'object' && provider !== null ? Reflect.get(provider, name) : undefined
  const kind = part('kind')
  if (kind !== 'page' && kind !== 'net_iov') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      "A pool is made from a provider, such as hostProvider({ pages: 64 }) makes: an object with the kind 'page' or 'net_iov'.",
    )
  }
  const operations = ['init', 'alloc', 'release', 'destroy', kind === 'page' ? 'bytes' : 'offset']
  const missing = operations.find((name) => typeof part(name) !== 'function')
  if (missing === undefined) return
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `The provider has no function ${missing}(). Run it through providerConformance() of netmem/testing.`,
  )
}

/** Returns a page size that is a power of two of 4 KiB to 1 GiB. Throws for every other value. */
export function checkPageSize(pageSize: unknown): number {
  if (typeof pageSize !== 'number') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `pageSize must be a number, not ${typeof pageSize}.`,
    )
  }
  const isPowerOfTwo = Number.isInteger(pageSize) && (pageSize & (pageSize - 1)) === 0
  if (isPowerOfTwo && pageSize >= 4096 && pageSize <= 2 ** 30) return pageSize
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `pageSize must be a power of two of 4096 to ${2 ** 30}, such as 262144, not ${pageSize}.`,
  )
}
