/** Parts that devices are made of: the NIC and the kinds of links. */

import { linkKinds } from './link-kinds.ts'
import { NetworkCard } from './nic/network-card.ts'
import type { DeviceParts } from './nic-table.ts'

export const deviceParts: DeviceParts = {
  makeNic: ({ settings, ...parts }) => new NetworkCard({ ...settings, ...parts }),
  linkKinds,
}
