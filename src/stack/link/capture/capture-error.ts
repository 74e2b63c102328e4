/** What is wrong with a capture file. */

import { DeviceError } from '../../device-error.ts'

/** An error with code NETMEM_CAPTURE_INVALID; `offset` is where in the file, in bytes. */
export function captureError(offset: number, what: string): DeviceError {
  return new DeviceError(
    'NETMEM_CAPTURE_INVALID',
    'EINVAL',
    `At byte ${offset} of the capture: ${what}`,
  )
}
