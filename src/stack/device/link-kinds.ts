/**
 * Kinds of links of the device's NICs. A new kind is a line in `LinkSpecs` and one in {@link
 * linkKinds}.
 */

import { checkInteger, ownOptions } from '../../errors.ts'
import { createCaptureLink } from '../link/capture/capture-link.ts'
import { createGenerator } from '../link/generator.ts'
import type { Link, LinkFrame } from '../link/link.ts'
import type { LinkKind, LinkSpec, ReadFile, TapReport } from '../link/link-spec.ts'
import { createTapLink } from '../link/tap/tap-link.ts'
import { InjectedLink } from './injected-link.ts'

/** A link in the device's thread. */
export interface OpenedLink {
  /** Link that the NIC receives from. It may be a link with faults around `injected`. */
  readonly link: Link
  /** Link that injected frames go to, if it takes any. */
  readonly injected?: InjectedLink
  /** Returns the result of reading the link's file. Called when the link has ended. */
  readonly readFile?: () => ReadFile
  /** State of the link's TAP interface, if it is one. */
  readonly tap?: TapReport
}

/**
 * Functions that open a link of each kind. The link calls `transmitted` for each frame that goes
 * to the stack's thread.
 */
export type LinkKinds = {
  readonly [K in LinkKind]: (
    spec: LinkSpec<K>,
    transmitted: (frame: LinkFrame) => void,
  ) => OpenedLink
}

export const linkKinds: LinkKinds = {
  injected: ({ kind, faults, ...options }, transmitted) => {
    const { queueBytes = 2 ** 22 } = ownOptions(`link ${kind}`, options, { queueBytes: true })
    const bytes = checkInteger('queueBytes', queueBytes, 4096, 2 ** 30)
    const injected = new InjectedLink(bytes, transmitted)
    return { link: injected, injected }
  },
  capture: ({ kind, faults, path, ...options }) => {
    const link = createCaptureLink(path, options)
    const readFile = (): ReadFile => {
      const { truncated, otherLinkPackets } = link
      return { truncated, otherLinkPackets }
    }
    return { link, readFile }
  },
  generator: ({ kind, faults, ...options }) => ({ link: createGenerator(options) }),
  tap: ({ kind, faults, ...options }) => {
    const link = createTapLink(options)
    const { name, mtu, offloadRefusal } = link
    return { link, tap: { name, mtu, offloadRefusal } }
  },
}
