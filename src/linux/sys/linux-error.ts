/** The error of operations that only Linux has. */

import { type CodeOf, NetmemError } from '../../errors.ts'
import type { ErrnoName } from './errno.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_LINUX_UNAVAILABLE: 'LinuxError'
    NETMEM_SYSCALL_FAILED: 'LinuxError'
  }
}

/** Details of a {@link LinuxError} that a system call caused. */
export interface LinuxErrorOptions extends ErrorOptions {
  /** Name of the kernel's error number. */
  readonly errno?: ErrnoName | undefined
  /** Name of the system call. */
  readonly syscall?: string | undefined
}

/** An operation that the kernel refused, that this system does not have, or that needs koffi. */
export class LinuxError extends NetmemError<'LinuxError'> {
  /** Name of the kernel's error number, such as `EPERM`, or undefined if no system call failed. */
  readonly errno: ErrnoName | undefined
  /** Name of the system call that failed, such as `bind`, or undefined if none did. */
  readonly syscall: string | undefined

  constructor(code: CodeOf<'LinuxError'>, message: string, options: LinuxErrorOptions = {}) {
    const { errno, syscall, ...rest } = options
    super(code, message, rest)
    this.errno = errno
    this.syscall = syscall
  }
}
