/** The device's thread: link, NIC and device memory live here and nowhere else. */

import { runDevice } from './device-loop.ts'
import { deviceParts } from './device-parts.ts'

runDevice(deviceParts)
