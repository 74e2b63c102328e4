/** How an error crosses from the device's thread: by code, errno and message. */

import { type ErrorCode, isNetmemError } from '../../errors.ts'
import { DeviceError, type Errno } from '../device-error.ts'

export interface DeviceFailure {
  readonly code: ErrorCode
  readonly errno: Errno
  readonly message: string
}

/** What to tell of `error`: what is none of netmem's is a mistake in the device, or in a part of it. */
export function describeFailure(error: unknown): DeviceFailure {
  if (error instanceof DeviceError) {
    return { code: error.code, errno: error.errno, message: error.message }
  }
  if (isNetmemError(error)) {
    return { code: error.code, errno: 'EINVAL', message: error.message }
  }
  return {
    code: 'NETMEM_DEVICE_FAILED',
    errno: 'EIO',
    message: `A part of the device threw ${error}. Its NIC or link has a mistake.`,
  }
}

/** The error that was described. */
export function failureError({ code, errno, message }: DeviceFailure): DeviceError {
  return new DeviceError(code, errno, message)
}
