/** The error of operations that only Linux has. */

import { type CodeOf, NetmemError } from '../errors.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_LINUX_UNAVAILABLE: 'LinuxError'
  }
}

/** An operation that this system does not have, or that needs koffi. */
export class LinuxError extends NetmemError {
  declare readonly code: CodeOf<'LinuxError'>

  constructor(code: CodeOf<'LinuxError'>, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}
