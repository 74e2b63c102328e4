/** What devices are made of: the NIC and the kinds of links that there are. */

import { fillChecksums, verifyChecksums } from '../../wire/frame-checksums.ts'
import { DEFAULT_RSS_KEY, makeToeplitzTable, toeplitzHash } from '../../wire/toeplitz.ts'
import { linkKinds } from './link-kinds.ts'
import { Nic } from './nic/nic.ts'
import type { NicOffloads } from './nic/offloads.ts'
import type { DeviceParts } from './nic-host.ts'

const rssTable = makeToeplitzTable(DEFAULT_RSS_KEY)

const offloads: NicOffloads = {
  hashFlow: (bytes, offset, layout) => toeplitzHash(rssTable, bytes, offset, layout),
  verify: verifyChecksums,
  fill: fillChecksums,
}

export const deviceParts: DeviceParts = {
  makeNic: ({ settings, ...parts }) => new Nic({ ...settings, ...parts, offloads }),
  linkKinds,
}
