/** What devices are made of: the NIC and the kinds of links that there are. */

import { DeviceError } from '../device-error.ts'
import { linkKinds } from './link-kinds.ts'
import type { DeviceParts } from './nic-host.ts'

export const deviceParts: DeviceParts = {
  makeNic: () => {
    throw new DeviceError('NETMEM_NO_DEVICE', 'EOPNOTSUPP', 'This build has no NIC.')
  },
  linkKinds,
}
