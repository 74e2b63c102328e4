/** Parts that devices are made of: the NIC and the kinds of links. */

import { linkKinds } from './link-kinds.ts'
import { Nic } from './nic/nic.ts'
import type { DeviceParts } from './nic-host.ts'

export const deviceParts: DeviceParts = {
  makeNic: ({ settings, ...parts }) => new Nic({ ...settings, ...parts }),
  linkKinds,
}
