import { type ErrnoName, LinuxError, O_RDWR, type OwnedFd, open } from '../sys/index.ts'

/**
 * Opens the device file of an exporter.
 *
 * @param remedies what to do where this process may not open it, and in other cases.
 */
export function openExporter(
  path: string,
  code: 'NETMEM_UDMABUF_UNAVAILABLE' | 'NETMEM_DMA_HEAP_UNAVAILABLE',
  remedies: { readonly forbidden: string; readonly absent: () => string },
): OwnedFd {
  try {
    return open(path, O_RDWR)
  } catch (cause) {
    if (!(cause instanceof LinuxError)) throw cause
    const { errno } = cause
    const remedy = isForbidden(errno) ? remedies.forbidden : remedies.absent()
    const message = `${path} cannot be opened (${errno}). ${remedy}`
    throw new LinuxError(code, message, { cause, errno, syscall: 'open' })
  }
}

/** True for the kernel's answer to a process without rights. */
export function isForbidden(errno: ErrnoName | undefined): boolean {
  return errno === 'EACCES' || errno === 'EPERM'
}
