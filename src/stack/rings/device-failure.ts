/** Errors on their way from the device's thread: plain data that names the class. */

import { ArgumentRangeError, ArgumentTypeError, type CodeOf } from '../../errors.ts'
import { type DeviceErrno, DeviceError } from '../device-error.ts'

interface FailureOf<Kind extends string, Class extends string> {
  readonly kind: Kind
  readonly code: CodeOf<Class>
  readonly message: string
}

export type DeviceFailure =
  | (FailureOf<'device', 'DeviceError'> & { readonly errno: DeviceErrno })
  | FailureOf<'type', 'ArgumentTypeError'>
  | FailureOf<'range', 'ArgumentRangeError'>

/**
 * Describes an error. An error that is not netmem's is a mistake in the device or in one of its
 * parts.
 */
export function describeFailure(error: unknown): DeviceFailure {
  if (error instanceof DeviceError) {
    return { kind: 'device', code: error.code, errno: error.errno, message: error.message }
  }
  if (error instanceof ArgumentTypeError) {
    return { kind: 'type', code: error.code, message: error.message }
  }
  if (error instanceof ArgumentRangeError) {
    return { kind: 'range', code: error.code, message: error.message }
  }
  return failed(`A part of the device threw ${error}. Its NIC or link has a mistake.`)
}

/** Makes the error that was described. */
export function failureError(failure: DeviceFailure): Error {
  if (failure.kind === 'type') return new ArgumentTypeError(failure.code, failure.message)
  if (failure.kind === 'range') return new ArgumentRangeError(failure.code, failure.message)
  return deviceError(failure)
}

/** Makes the error of a device that ended, a `DeviceError` for every cause. */
export function deviceError(failure: DeviceFailure): DeviceError {
  const { code, errno, message } = failure.kind === 'device' ? failure : failed(failure.message)
  return new DeviceError(code, errno, message)
}

function failed(message: string): Extract<DeviceFailure, { kind: 'device' }> {
  return { kind: 'device', code: 'NETMEM_DEVICE_FAILED', errno: 'EIO', message }
}
