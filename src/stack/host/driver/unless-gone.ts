/** Waits for the end of work of a device that may be gone, and then writes to no memory any more. */

import { DeviceError } from '../../device-error.ts'

/** Resolves with `done`, and also where it rejects because the device is gone (ENODEV). */
export async function unlessGone(done: Promise<void>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (!(error instanceof DeviceError) || error.errno !== 'ENODEV') throw error
  }
}
