/**
 * net_iovs of a dma-buf that a device has mapped: the kernel's dma-buf memory provider (Linux,
 * net/core/devmem.c). It knows where its net_iovs are, for descriptors and tokens, and has no way
 * to their bytes.
 */

import { ArgumentRangeError, ArgumentTypeError, checkInteger, LifetimeError } from '../errors.ts'
import { type Binding, type Exactly, MAX_SLOTS, type NetIov } from '../netmem.ts'
import { checkPageSize, type NetIovProvider, type Slots } from '../pool/memory-provider.ts'
import { ChunkAllocator } from './chunk-allocator.ts'
import type { DmaSegment } from './dma-address.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_DMABUF_SEGMENTS: 'ArgumentRangeError'
    NETMEM_DMABUF_UNALIGNED: 'ArgumentRangeError'
    NETMEM_DMABUF_GONE: 'LifetimeError'
  }
}

/** A huge page on x86-64 and arm64: a larger net_iov would only be shared, and held up, by more packets. */
const MAX_PAGE_SIZE = 2 ** 21

/** A dma-buf as it is mapped for one device. */
export interface DmaBufBinding extends Binding {
  /** Bytes of the dma-buf. */
  readonly bytes: number
  /** Their addresses for the device, in the order of the dma-buf. */
  readonly segments: readonly DmaSegment[]
}

/** Report of a binding, as netlink gives it. */
export interface DmaBufReport {
  /** Number of the binding. */
  readonly id: number
  /** Bytes of each net_iov. */
  readonly pageSize: number
  /** Number of net_iovs. */
  readonly pages: number
  /** Bytes of the dma-buf. */
  readonly bytes: number
  /** net_iovs that no pool has. */
  readonly free: number
  /** False once the device is gone. */
  readonly installed: boolean
}

/** A provider of a dma-buf's memory. */
export interface DmaBufProvider extends NetIovProvider {
  /** The DMA address of a net_iov, in two parts so that posting it makes no garbage. */
  readonly dmaRegion: (iov: Exactly<NetIov>) => number
  /** Bytes from the start of that region to the net_iov. */
  readonly dmaOffset: (iov: Exactly<NetIov>) => number
  /** Returns the present numbers of the binding. */
  readonly report: () => DmaBufReport
  /**
   * The device goes away. The provider gives no memory from now on. Memory that is out may still come
   * back, so that its pool's `inflight` reaches 0. Memory in the pool's cache is not called back: stop
   * the queues before the device is removed.
   */
  readonly uninstall: () => void
}

/**
 * Provides the memory of a dma-buf in net_iovs. Its `init` throws NETMEM_DMABUF_GONE after `uninstall`.
 *
 * @param options - `pageSize`: a power of two of 4 KiB to 2 MiB, 4 KiB by default.
 * @throws NETMEM_DMABUF_UNALIGNED unless the dma-buf and each of its segments are multiples of `pageSize`.
 * @throws NETMEM_DMABUF_SEGMENTS when the segments are not the dma-buf.
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT for other page sizes.
 */
export function dmaBufProvider(
  binding: DmaBufBinding,
  options: { readonly pageSize?: number } = {},
): DmaBufProvider {
  const pageSize = checkNetIovSize(options?.pageSize ?? 4096)
  const { id, bytes } = checkBinding(binding, pageSize)
  const chunks = new ChunkAllocator(binding.segments, pageSize)
  if (chunks.chunks * pageSize !== bytes) {
    throw new ArgumentRangeError(
      'NETMEM_DMABUF_SEGMENTS',
      `The segments have ${chunks.chunks * pageSize} bytes together, the dma-buf has ${bytes}. Pass the scatter list as attach() gave it.`,
    )
  }
  let slots: Slots<NetIov> | undefined
  let installed = true
  const opened = (): Slots<NetIov> => {
    if (slots !== undefined) return slots
    throw new LifetimeError('NETMEM_PROVIDER_UNOPENED', 'No pool has this provider open.')
  }
  return {
    kind: 'net_iov',
    pageSize,
    capacity: chunks.chunks,
    binding: { id },
    init: (given) => {
      if (!installed) {
        throw new LifetimeError(
          'NETMEM_DMABUF_GONE',
          'The device of this binding is gone. Attach the dma-buf to another one.',
        )
      }
      if (slots !== undefined) {
        throw new LifetimeError(
          'NETMEM_PROVIDER_BUSY',
          'Another pool has this provider. Wait for its destroy(), or attach the dma-buf again.',
        )
      }
      slots = given
    },
    alloc: (want, give) => {
      const { mint } = opened()
      if (!installed) return
      for (let given = 0; given < want; given++) {
        const chunk = chunks.alloc()
        if (chunk < 0) return
        give(mint(chunk))
      }
    },
    release: (iov) => chunks.free(opened().slot(iov)),
    // No reset is needed: released chunks are free, and the device may still write to the others.
    destroy: () => {
      slots = undefined
    },
    // Chunks are numbered in the dma-buf's order, and all of them are whole.
    offset: (iov) => opened().slot(iov) * pageSize,
    dmaRegion: (iov) => chunks.region(opened().slot(iov)),
    dmaOffset: (iov) => chunks.offset(opened().slot(iov)),
    report: () => ({
      id,
      pageSize,
      pages: chunks.chunks,
      bytes,
      free: chunks.available,
      installed,
    }),
    uninstall: () => {
      installed = false
    },
  }
}

function checkNetIovSize(pageSize: number): number {
  const checked = checkPageSize(pageSize)
  if (checked <= MAX_PAGE_SIZE) return checked
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `A net_iov has at most ${MAX_PAGE_SIZE} bytes, not ${checked}.`,
  )
}

function checkBinding(
  binding: DmaBufBinding,
  pageSize: number,
): { readonly id: number; readonly bytes: number } {
  if (typeof binding !== 'object' || binding === null) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `binding must be an object with id, bytes and segments, not ${typeof binding}.`,
    )
  }
  const id = checkInteger('id of the binding', binding.id, 1, 2 ** 32 - 1)
  const bytes = checkInteger('bytes of the dma-buf', binding.bytes, 1, Number.MAX_SAFE_INTEGER)
  if (bytes % pageSize !== 0) {
    throw new ArgumentRangeError(
      'NETMEM_DMABUF_UNALIGNED',
      `The dma-buf has ${bytes} bytes, which is no multiple of ${pageSize}. Take a smaller page size, or export whole pages.`,
    )
  }
  checkInteger('net_iovs of the dma-buf', bytes / pageSize, 1, MAX_SLOTS)
  return { id, bytes }
}
