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

export class DeviceError extends NetmemError {
  readonly errno: Errno

  constructor(code: ErrorCode, errno: Errno, message: string) {
    super(code, message)
    this.errno = errno
  }
}
