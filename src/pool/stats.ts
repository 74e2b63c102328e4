/** The page pool's counters, under the kernel's names and with its meanings (Linux, Documentation/networking/page_pool.rst). */
export interface PagePoolStats {
  /** Allocations, by where the memory came from. */
  readonly alloc: {
    /** Allocations served from the cache. */
    readonly fast: number
    /**
     * Allocations for which a page provider gave up to 64 pages. 0 for a net_iov provider, as for a
     * memory provider in the kernel.
     */
    readonly slow: number
    /** Number that the provider reports, or 0. */
    readonly slow_high_order: number
    /** Misses of the cache that found the ring empty as well. */
    readonly empty: number
    /** Misses that were filled up from the ring. */
    readonly refill: number
    /** Number that the provider reports, or 0. */
    readonly waive: number
  }
  /** Returned memory, by where it went. */
  readonly recycle: {
    /** Put straight into the cache. */
    readonly cached: number
    /** The cache had no room, and the ring was tried. */
    readonly cache_full: number
    /** Put into the ring, by any thread. */
    readonly ring: number
    /** The ring had no room, and the provider got the memory. */
    readonly ring_full: number
    /** Released to the provider: a thread that ended had borrowed it and not given it back. */
    readonly released_refcnt: number
  }
  /** Held − released: what the provider has given and not got back, cache and ring included. */
  readonly inflight: number
  /** Netmem of these that drivers and applications have. */
  readonly out: number
  /** Number of `out` that are bare handles, in no frag: of `alloc()`, posted by a driver, or in an skb. */
  readonly handles: number
  /** Payloads copied instead of pinning a page (rx-copybreak). */
  readonly copied: {
    /** Copies made so far. */
    readonly frags: number
    /** Bytes copied so far. */
    readonly bytes: number
    /** Bytes of copies that have not been released. */
    readonly bytes_out: number
    /**
     * Bytes of copies that may be out, 256 more counted for each, before connections stop reading
     * what they would have to copy: as many as the pool has. A connection that holds nothing may
     * exceed it by one small read.
     */
    readonly limit: number
  }
}
