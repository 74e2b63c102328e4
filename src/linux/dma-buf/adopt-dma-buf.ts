/** Takes over dma-bufs that other code made: another process, or a library of a GPU. */

import { readFileSync } from 'node:fs'
import { checkInteger } from '../../errors.ts'
import { isFd, LinuxError, OwnedFd } from '../sys/index.ts'
import { DmaBuf } from './dma-buf.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_NOT_A_DMABUF: 'LinuxError'
  }
}

/**
 * Takes over a descriptor of a dma-buf that other code made, such as a GPU's library. The object owns
 * the descriptor from here, and closes it.
 *
 * @param fd descriptor of a dma-buf in this process.
 * @throws NETMEM_NOT_A_DMABUF for another kind of descriptor, which stays the caller's.
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT.
 *
 * @example
 * ```ts
 * import { adoptDmaBuf } from 'netmem/linux'
 *
 * const fd = 23 // from the library of a GPU
 * const dmabuf = adoptDmaBuf(fd)
 * console.log(dmabuf.exporter, dmabuf.bytes)
 * ```
 */
export function adoptDmaBuf(fd: number): DmaBuf {
  const { exporter, bytes } = describe(checkInteger('fd', fd, 0, 2 ** 31 - 1))
  if (!isFd(fd)) throw notADmaBuf(fd, 'is no descriptor')
  return new DmaBuf({ exporter, bytes, descriptor: new OwnedFd(fd, `dma-buf of ${exporter}`) })
}

/** Reads what the kernel says of a dma-buf (Linux, drivers/dma-buf/dma-buf.c, dma_buf_show_fdinfo). */
function describe(fd: number): { readonly exporter: string; readonly bytes: number } {
  let text: string
  try {
    text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
  } catch {
    throw notADmaBuf(fd, 'is not open')
  }
  const exporter = /^exp_name:\t(.+)$/m.exec(text)?.[1]
  const bytes = /^size:\t(\d+)$/m.exec(text)?.[1]
  if (exporter === undefined || bytes === undefined) throw notADmaBuf(fd, 'is something else')
  return { exporter, bytes: Number(bytes) }
}

function notADmaBuf(fd: number, what: string): LinuxError {
  return new LinuxError(
    'NETMEM_NOT_A_DMABUF',
    `Descriptor ${fd} ${what}. Pass one that an exporter of dma-bufs returned, such as createUdmabuf() or the library of a GPU.`,
  )
}
