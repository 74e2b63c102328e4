/** An error of the user-space stack, with the kernel's word for it beside the stable code. */

import { type ErrorCode, NetmemError } from '../errors.ts'

/** The kernel's errno for the same mistake. */
export type Errno =
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

/** Error of a device, a driver, a binding or a socket of the stack, with the name that the kernel gives it. */
export class DeviceError extends NetmemError {
  readonly errno: Errno

  constructor(code: ErrorCode, errno: Errno, message: string) {
    super(code, message)
    this.errno = errno
  }
}
