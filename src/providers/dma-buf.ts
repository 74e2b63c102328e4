/**
 * net_iovs of a dma-buf that a device has mapped: the kernel's dma-buf memory provider (Linux,
 * net/core/devmem.c). It knows where its net_iovs are, for descriptors and tokens, and has no way
 * to their bytes.
 */

import { ArgumentRangeError, ArgumentTypeError, checkInteger, LifetimeError } from '../errors.ts'
import { type Binding, type Exactly, MAX_SLOTS, type NetIov } from '../netmem.ts'
import { checkPageSize, type NetIovProvider } from '../pool/memory-provider.ts'
import type { DmaSegment } from './dma-address.ts'
import { cutIntoChunks } from './scatter-list.ts'
import { createSlotAllocator } from './slot-allocator.ts'

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
  // Chunks are in the dma-buf's order, and all of them are whole.
  const { regions, offsets } = cutIntoChunks(binding.segments, pageSize)
  const pages = regions.length
  if (pages * pageSize !== bytes) {
    throw new ArgumentRangeError(
      'NETMEM_DMABUF_SEGMENTS',
      `The segments have ${pages * pageSize} bytes together, the dma-buf has ${bytes}. Pass the scatter list as attach() gave it.`,
    )
  }
  const { slot, init, alloc, release, destroy } = createSlotAllocator<NetIov>(pages)
  let free = pages
  let installed = true
  return {
    kind: 'net_iov',
    pageSize,
    capacity: pages,
    binding: { id },
    init: (slots) => {
      if (!installed) {
        throw new LifetimeError(
          'NETMEM_DMABUF_GONE',
          'The device of this binding is gone. Attach the dma-buf to another one.',
        )
      }
      init(slots)
    },
    alloc: (want, give) => {
      if (installed) free -= alloc(want, give)
    },
    release: (iov) => {
      release(iov)
      free++
    },
    destroy,
    offset: (iov) => slot(iov) * pageSize,
    dmaRegion: (iov) => regions[slot(iov)] ?? -1,
    dmaOffset: (iov) => offsets[slot(iov)] ?? -1,
    report: () => ({ id, pageSize, pages, bytes, free, installed }),
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
): Pick<DmaBufBinding, 'id' | 'bytes'> {
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
