/** An error of the user-space stack, with the kernel's word for it beside the stable code. */

import { type CodeOf, NetmemError } from '../errors.ts'

/** The kernel's errno for the same mistake. */
export type DeviceErrno =
  | 'EBADF'
  | 'EBUSY'
  | 'E2BIG'
  | 'EEXIST'
  | 'EFAULT'
  | 'EINVAL'
  | 'EIO'
  | 'EISDIR'
  | 'ENETDOWN'
  | 'ENODATA'
  | 'ENODEV'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'ETOOSMALL'
  | 'EOPNOTSUPP'
  | 'EPERM'
  | 'ERANGE'
  | 'EAGAIN'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_DMA_FAULT: 'DeviceError'
    NETMEM_DEVICE_CLOSED: 'DeviceError'
    NETMEM_DEVICE_FAILED: 'DeviceError'
    NETMEM_DEVICE_MEMORY: 'DeviceError'
    NETMEM_DMABUF_INVALID: 'DeviceError'
    NETMEM_DMABUF_BUSY: 'DeviceError'
    NETMEM_BIND_QUEUE: 'DeviceError'
    NETMEM_BIND_HEADER_SPLIT: 'DeviceError'
    NETMEM_BIND_UNSUPPORTED: 'DeviceError'
    NETMEM_BIND_BUSY: 'DeviceError'
    NETMEM_BIND_IGNORED: 'DeviceError'
    NETMEM_BIND_ORDER: 'DeviceError'
    NETMEM_NIC_BUSY: 'DeviceError'
    NETMEM_NIC_CONFIG: 'DeviceError'
    NETMEM_UNREADABLE: 'DeviceError'
    NETMEM_READABLE: 'DeviceError'
    NETMEM_CONTROL_SPACE: 'DeviceError'
    NETMEM_TOKEN_RANGE: 'DeviceError'
    NETMEM_NO_TOKEN: 'DeviceError'
    NETMEM_NO_DEVICE: 'DeviceError'
    NETMEM_SOCKET_CLOSED: 'DeviceError'
    NETMEM_WOULD_BLOCK: 'DeviceError'
    NETMEM_CAPTURE_INVALID: 'DeviceError'
    NETMEM_TAP_UNAVAILABLE: 'DeviceError'
    NETMEM_TAP_PERMISSION: 'DeviceError'
    NETMEM_TAP_NAME_TAKEN: 'DeviceError'
    NETMEM_TAP_GONE: 'DeviceError'
    NETMEM_SKB_FREED: 'LifetimeError'
    NETMEM_WRITER_CLOSED: 'LifetimeError'
  }
}

/** Error of a device, a driver, a binding or a socket of the stack, with the name that the kernel gives it. */
export class DeviceError extends NetmemError<'DeviceError'> {
  /** Name of the kernel's errno for the same mistake. */
  readonly errno: DeviceErrno

  constructor(code: CodeOf<'DeviceError'>, errno: DeviceErrno, message: string) {
    super(code, message)
    this.errno = errno
  }
}
