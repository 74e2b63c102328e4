/** Huge pages that the administrator has reserved (Linux, Documentation/admin-guide/mm/hugetlbpage.rst). */

import { readText } from '../read-text.ts'
import { LinuxError } from '../sys/index.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_HUGE_PAGES_SHORT: 'LinuxError'
  }
}

/** Bytes of a huge page: of 2 MiB on x86-64 and on arm64 with pages of 4 KiB. */
export const HUGE_PAGE_BYTES: number = 2 ** 21

const FOLDER = '/sys/kernel/mm/hugepages/hugepages-2048kB'

/** Huge pages of 2 MiB: reserved in all, and free for a new user. */
export interface HugePages {
  readonly reserved: number
  readonly free: number
}

/** Reads the number of huge pages. Zeros if the kernel has no huge pages. */
export function hugePages(folder: string = FOLDER): HugePages {
  const read = (file: string): number => Number.parseInt(readText(`${folder}/${file}`) ?? '0', 10)
  // Pages that are promised to a mapping count as free until they are touched.
  return { reserved: read('nr_hugepages'), free: read('free_hugepages') - read('resv_hugepages') }
}

/** Throws NETMEM_HUGE_PAGES_SHORT unless enough huge pages are free for `bytes`. */
export function checkHugePages(bytes: number, folder: string = FOLDER): void {
  const wanted = Math.ceil(bytes / HUGE_PAGE_BYTES)
  const { reserved, free } = hugePages(folder)
  if (free >= wanted) return
  throw new LinuxError(
    'NETMEM_HUGE_PAGES_SHORT',
    `${wanted} huge pages of 2 MiB are needed, and ${free} of the ${reserved} in vm.nr_hugepages are free. Reserve more: \`sysctl vm.nr_hugepages=${reserved - free + wanted}\`.`,
  )
}
