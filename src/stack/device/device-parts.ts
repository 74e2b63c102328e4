/** Parts that devices are made of: the NIC and the kinds of links. Only tests take others. */

import type { Link } from '../link/link.ts'
import type { NicSettings } from '../rings/nic-types.ts'
import type { DmaSpace } from './dma-space.ts'
import { type LinkKinds, linkKinds } from './link-kinds.ts'
import { NetworkCard } from './nic/network-card.ts'
import type { Steering } from './nic/steering.ts'

/**
 * A NIC inside its device: a `NetworkCard`, or a NIC under test. Arguments that come from the stack's
 * thread are plain data, which the NIC checks itself.
 */
export type NicModel = Pick<
  NetworkCard,
  | 'startQueue'
  | 'stopQueue'
  | 'startTxQueue'
  | 'stopTxQueue'
  | 'receive'
  | 'transmit'
  | 'paused'
  | 'counters'
  | 'features'
> & {
  readonly steering: Pick<
    Steering,
    'addRule' | 'removeRule' | 'setRssTable' | 'rssTable' | 'setRssKey' | 'rssKey'
  >
}

export interface DeviceParts {
  /** Makes a NIC, which receives from its link. The caller closes the link. */
  readonly makeNic: (parts: {
    readonly queues: number
    readonly dma: DmaSpace
    readonly link: Link
    readonly settings: NicSettings
  }) => NicModel
  readonly linkKinds: LinkKinds
}

export const deviceParts: DeviceParts = {
  makeNic: ({ settings, ...parts }) => new NetworkCard({ ...settings, ...parts }),
  linkKinds,
}
