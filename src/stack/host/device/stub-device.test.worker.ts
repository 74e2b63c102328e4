/** The device's thread with a stub for its NIC. */

import { runDevice } from '../../device/device-loop.ts'
import { stubParts } from './stub-nic.test.helper.ts'

runDevice(stubParts)
