/** dma heaps: the kernel's allocators of dma-bufs (Linux, Documentation/userspace-api/dma-buf-heaps.rst). */

import { readdirSync } from 'node:fs'
import { ArgumentTypeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import {
  DMA_HEAP_ALLOCATION,
  DMA_HEAP_IOCTL_ALLOC,
  ioctlOwned,
  loadLibc,
  memoryPageBytes,
  O_CLOEXEC,
  O_RDWR,
  Pinned,
} from '../sys/index.ts'
import { DmaBuf } from './dma-buf.ts'
import { openExporter } from './open-exporter.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DMA_HEAP_UNAVAILABLE: 'LinuxError'
  }
}

/** Options of {@link createDmaHeapBuffer}. */
export interface DmaHeapOptions {
  /** Size in bytes. The kernel rounds it up to whole pages. */
  readonly bytes: number
  /** Name of a heap in `/dev/dma_heap`. `system`, ordinary memory, by default. */
  readonly heap?: string
}

const NAMES: OptionNames<DmaHeapOptions> = { bytes: true, heap: true }

const FOLDER = '/dev/dma_heap'
/** Default heap: memory of any place, in pages. */
export const SYSTEM_HEAP = 'system'

/** Names of this machine's dma heaps. Empty without heaps. */
export function dmaHeaps(): string[] {
  try {
    return readdirSync(FOLDER).sort()
  } catch {
    return []
  }
}

/**
 * Allocates a dma-buf from a heap of the kernel. The host can map it, and the kernel's fast paths
 * (`O_DIRECT`, zero-copy sends, io_uring) refuse that mapping: take `createUdmabuf` for those.
 *
 * @param options heap and size.
 * @throws NETMEM_DMA_HEAP_UNAVAILABLE if there is no such heap, or the process may not use it.
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT, NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED.
 *
 * @example
 * ```ts
 * import { createDmaHeapBuffer } from 'netmem/linux'
 *
 * const dmabuf = createDmaHeapBuffer({ bytes: 2 ** 20 })
 * console.log(dmabuf.exporter) // system
 * dmabuf.close()
 * ```
 */
export function createDmaHeapBuffer(options: DmaHeapOptions): DmaBuf {
  const { bytes, heap = SYSTEM_HEAP } = ownOptions('createDmaHeapBuffer()', options, NAMES)
  checkInteger('bytes', bytes, 1, 2 ** 52)
  checkHeapName(heap)
  loadLibc()
  const pageBytes = memoryPageBytes()
  const size = Math.ceil(bytes / pageBytes) * pageBytes
  using device = openExporter(`${FOLDER}/${heap}`, 'NETMEM_DMA_HEAP_UNAVAILABLE', REMEDIES)
  const argument = new Pinned(DMA_HEAP_ALLOCATION.BYTES)
  argument.setUint64(DMA_HEAP_ALLOCATION.LENGTH, size)
  argument.view.setUint32(DMA_HEAP_ALLOCATION.FD_FLAGS, O_RDWR | O_CLOEXEC, true)
  const label = `buffer of the heap ${heap}`
  const descriptor = ioctlOwned(
    device.fd,
    DMA_HEAP_IOCTL_ALLOC,
    argument,
    label,
    DMA_HEAP_ALLOCATION.FD,
  )
  return new DmaBuf({ exporter: heap, bytes: size, descriptor })
}

function checkHeapName(heap: unknown): void {
  if (typeof heap === 'string' && /^[^/]+$/.test(heap) && heap !== '.' && heap !== '..') return
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `heap is the name of a file in ${FOLDER}, such as 'system', not ${JSON.stringify(heap)}.`,
  )
}

const REMEDIES = {
  forbidden: 'Run as root, or give the user access to the file.',
  absent: () => {
    const heaps = dmaHeaps()
    return heaps.length > 0
      ? `Take one of this machine's heaps: ${heaps.join(', ')}.`
      : `This machine has no heaps: boot a kernel that has CONFIG_DMABUF_HEAPS_SYSTEM. A container is given one with \`--device ${FOLDER}/system\`.`
  },
}
