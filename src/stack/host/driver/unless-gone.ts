/** Ends that a device which is gone has brought about already: it writes to nobody's memory any more. */

import { DeviceError } from '../../device-error.ts'

/** Resolves with `done`, and where it rejects since the device is gone (ENODEV). */
export async function unlessGone(done: Promise<void>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (!(error instanceof DeviceError) || error.errno !== 'ENODEV') throw error
  }
}
