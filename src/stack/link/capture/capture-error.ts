/** Errors of capture files. */

import { DeviceError } from '../../device-error.ts'

/**
 * Returns an error with code NETMEM_CAPTURE_INVALID.
 *
 * @param offset place in the file, in bytes.
 * @param what the fault, as the end of a sentence.
 */
export function captureError(offset: number, what: string): DeviceError {
  return new DeviceError(
    'NETMEM_CAPTURE_INVALID',
    'EINVAL',
    `At byte ${offset} of the capture: ${what}`,
  )
}
