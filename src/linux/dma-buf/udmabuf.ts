/** udmabuf: a dma-buf over the pages of a memfd (Linux, drivers/dma-buf/udmabuf.c). */

import { ArgumentRangeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import { readText } from '../read-text.ts'
import {
  addressOf,
  F_ADD_SEALS,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  type Fd,
  fcntl,
  ftruncate,
  ioctlOwned,
  LinuxError,
  loadLibc,
  MFD_ALLOW_SEALING,
  MFD_HUGE_2MB,
  MFD_HUGETLB,
  MPOL_BIND,
  map,
  mbind,
  memfdCreate,
  memoryPageBytes,
  type OwnedFd,
  Pinned,
  UDMABUF,
  UDMABUF_CREATE,
  UDMABUF_FLAGS_CLOEXEC,
} from '../sys/index.ts'
import { DmaBuf } from './dma-buf.ts'
import { checkHugePages, HUGE_PAGE_BYTES } from './huge-pages.ts'
import { openExporter } from './open-exporter.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_UDMABUF_UNAVAILABLE: 'LinuxError'
    NETMEM_UDMABUF_LIMIT: 'LinuxError'
    NETMEM_NUMA_NODE: 'LinuxError'
  }
}

/** Options of {@link createUdmabuf}. */
export interface UdmabufOptions {
  /** Size: whole pages of the machine, or whole huge pages of 2 MiB with `hugePages`. */
  readonly bytes: number
  /** Takes huge pages of 2 MiB, which the administrator has reserved (`vm.nr_hugepages`). */
  readonly hugePages?: boolean
  /** NUMA node that the memory is to lie on, 0 to 1023. The kernel chooses by default. */
  readonly numaNode?: number
}

const NAMES: OptionNames<UdmabufOptions> = { bytes: true, hugePages: true, numaNode: true }

const DEVICE = '/dev/udmabuf'
const SIZE_LIMIT = '/sys/module/udmabuf/parameters/size_limit_mb'
const REMEDIES = {
  forbidden: 'Run as root, or add the user to the group of the file (kvm, on most systems).',
  absent: () =>
    'Load it with `modprobe udmabuf`, or boot a kernel that has CONFIG_UDMABUF. A container is given it with `--device /dev/udmabuf`.',
}
/** Smallest page of memory, which is the only one of x86-64. Kernels for arm64 may have 16 or 64 KiB. */
const LEAST_PAGE_BYTES = 4096
/** Bytes whose NUMA node is set through one mapping. */
const POLICY_BYTES = 2 ** 30
/** Largest size that a number holds and a file may have. */
const MAX_BYTES = 2 ** 52

/**
 * Makes a dma-buf of fresh zeroed memory: a memfd, sealed against changes of its size, that
 * `/dev/udmabuf` exports. Works on every machine whose kernel has CONFIG_UDMABUF, without any device.
 *
 * @param options size, kind and place of the memory.
 * @throws NETMEM_UDMABUF_UNAVAILABLE where the kernel has no udmabuf, or a container does not see it.
 * @throws NETMEM_UDMABUF_LIMIT for more than `size_limit_mb` of the module.
 * @throws NETMEM_HUGE_PAGES_SHORT if too few huge pages are free.
 * @throws NETMEM_NUMA_NODE if the machine has no such node.
 * @throws NETMEM_DMABUF_UNALIGNED for a size that is not whole pages.
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT, NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED.
 *
 * @example
 * ```ts
 * import { createUdmabuf } from 'netmem/linux'
 *
 * const dmabuf = createUdmabuf({ bytes: 16 * 2 ** 20 })
 * console.log(dmabuf.exporter, dmabuf.bytes) // udmabuf 16777216
 * dmabuf.close()
 * ```
 */
export function createUdmabuf(options: UdmabufOptions): DmaBuf {
  const { bytes, hugePages = false, numaNode } = ownOptions('createUdmabuf()', options, NAMES)
  checkSize(bytes, hugePages ? HUGE_PAGE_BYTES : LEAST_PAGE_BYTES)
  if (numaNode !== undefined) checkInteger('numaNode', numaNode, 0, 1023)
  loadLibc()
  checkSize(bytes, memoryPageBytes())
  using device = openExporter(DEVICE, 'NETMEM_UDMABUF_UNAVAILABLE', REMEDIES)
  checkSizeLimit(bytes)
  if (hugePages) checkHugePages(bytes)
  const memfd = sealedMemfd(bytes, hugePages)
  try {
    if (numaNode !== undefined) placeOn(memfd.fd, bytes, hugePages, numaNode)
    const descriptor = exportUdmabuf(device.fd, memfd.fd, bytes)
    const hugePageBytes = hugePages ? HUGE_PAGE_BYTES : undefined
    return new DmaBuf({ exporter: 'udmabuf', bytes, descriptor, memfd, hugePageBytes })
  } catch (error) {
    memfd.close()
    throw error
  }
}

/** Makes a file in memory whose size is final: udmabuf takes no other (SEALS_WANTED). */
export function sealedMemfd(bytes: number, hugePages: boolean): OwnedFd {
  const huge = hugePages ? MFD_HUGETLB | MFD_HUGE_2MB : 0
  const memfd = memfdCreate('netmem', MFD_ALLOW_SEALING | huge)
  try {
    ftruncate(memfd.fd, bytes)
    fcntl(memfd.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
    return memfd
  } catch (error) {
    memfd.close()
    throw error
  }
}

function checkSize(bytes: number, pageBytes: number): void {
  checkInteger('bytes', bytes, 1, MAX_BYTES)
  if (bytes % pageBytes === 0) return
  throw new ArgumentRangeError(
    'NETMEM_DMABUF_UNALIGNED',
    `A dma-buf of ${bytes} bytes does not consist of whole pages of ${pageBytes}. Take ${Math.ceil(bytes / pageBytes) * pageBytes}.`,
  )
}

/** Throws if a kernel that limits the size of a udmabuf refuses this one. Newer kernels have no limit. */
function checkSizeLimit(bytes: number): void {
  const limitMiB = Number.parseInt(readText(SIZE_LIMIT) ?? '', 10)
  const wantedMiB = Math.ceil(bytes / 2 ** 20)
  if (!(wantedMiB > limitMiB)) return
  throw new LinuxError(
    'NETMEM_UDMABUF_LIMIT',
    `This kernel makes udmabufs of at most ${limitMiB} MiB, and ${wantedMiB} MiB were asked for. Raise it: \`echo ${wantedMiB} > ${SIZE_LIMIT}\`.`,
  )
}

/** Sets the policy of the file before any page is there: exporting it is what allocates them. */
function placeOn(memfd: Fd, bytes: number, hugePages: boolean, node: number): void {
  try {
    // The policy belongs to the file, through any of its mappings, and outlives the mapping.
    for (let offset = 0; offset < bytes; offset += POLICY_BYTES) {
      const length = Math.min(POLICY_BYTES, bytes - offset)
      const options = { offset, ...(hugePages ? { hugePageBytes: HUGE_PAGE_BYTES } : {}) }
      using mapping = map(memfd, length, options)
      mbind(addressOf(mapping.bytes), length, MPOL_BIND, [node])
    }
  } catch (cause) {
    if (!(cause instanceof LinuxError) || cause.errno !== 'EINVAL') throw cause
    throw new LinuxError(
      'NETMEM_NUMA_NODE',
      `This machine has no memory on NUMA node ${node}. /sys/devices/system/node/has_memory lists the nodes that have some.`,
      { cause, errno: cause.errno, syscall: 'mbind' },
    )
  }
}

function exportUdmabuf(device: Fd, memfd: Fd, bytes: number): OwnedFd {
  const argument = new Pinned(UDMABUF.BYTES)
  argument.view.setUint32(UDMABUF.MEMFD, memfd, true)
  argument.view.setUint32(UDMABUF.FLAGS, UDMABUF_FLAGS_CLOEXEC, true)
  argument.setUint64(UDMABUF.SIZE, bytes)
  return ioctlOwned(device, UDMABUF_CREATE, argument, 'udmabuf')
}
