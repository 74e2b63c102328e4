/** Takes over dma-bufs that other code made: another process, or a library of a GPU. */

import { fstatSync, readFileSync } from 'node:fs'
import { checkInteger } from '../../errors.ts'
import { F_GET_SEALS, F_SEAL_SHRINK, fcntl, isFd, LinuxError, OwnedFd } from '../sys/index.ts'
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

/**
 * Makes a dma-buf of descriptors that another process sent: the dma-buf's, and the memfd's if it is a
 * udmabuf. Closes them if they are something else, since a peer may send anything.
 */
export function adoptDescriptors(descriptors: readonly OwnedFd[]): DmaBuf {
  const [descriptor, memfd] = descriptors
  try {
    if (descriptor === undefined) throw notADmaBuf(-1, 'did not come')
    const { exporter, bytes } = describe(descriptor.fd)
    if (memfd !== undefined) checkMemfd(memfd, bytes)
    for (const extra of descriptors.slice(2)) extra.close()
    return new DmaBuf({ exporter, bytes, descriptor, memfd })
  } catch (error) {
    for (const each of descriptors) each.close()
    throw error
  }
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

/** A memfd that its sender could shrink would end this process at the next access (SIGBUS). */
function checkMemfd(memfd: OwnedFd, bytes: number): void {
  let seals = 0
  try {
    seals = fcntl(memfd.fd, F_GET_SEALS)
  } catch {
    // Another kind of file has no seals.
  }
  if ((seals & F_SEAL_SHRINK) !== 0 && fstatSync(memfd.fd).size === bytes) return
  throw notADmaBuf(memfd.fd, 'is no sealed memfd of its size')
}

function notADmaBuf(fd: number, what: string): LinuxError {
  return new LinuxError(
    'NETMEM_NOT_A_DMABUF',
    `Descriptor ${fd} ${what}. Pass one that an exporter of dma-bufs returned, such as createUdmabuf() or the library of a GPU.`,
  )
}
