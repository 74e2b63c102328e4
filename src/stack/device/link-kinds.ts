/**
 * The links a NIC of the device can have, by kind. A kind more is a line in {@link LinkSpecs} and
 * one in {@link linkKinds}.
 */

import { checkInteger } from '../../errors.ts'
import { type CaptureOptions, openCapture } from '../link/capture/open-capture.ts'
import type { FaultOptions } from '../link/faults.ts'
import { createGenerator, type GeneratorOptions } from '../link/generator.ts'
import type { Link, LinkFrame } from '../link/link.ts'
import { InjectedLink } from './injected-link.ts'

/** What describes a link of each kind: plain data, made into a link in the device's thread. */
export interface LinkSpecs {
  /** A wire whose far end is in the stack's thread: see `NicProxy.inject` and `transmitted`. */
  readonly wire: {
    /** Bytes of injected frames that may wait for the NIC: 4096 to 2^30; 4 MiB by default. */
    readonly queueBytes?: number
  }
  /** A pcap or pcapng file, read in the device's thread: see `openCapture`. */
  readonly capture: CaptureOptions & { readonly path: string }
  /** TCP flows that are made as fast as they are taken: see `createGenerator`. */
  readonly generator: GeneratorOptions
}

/** Faults on the way from a link to its NIC, any link's. */
export interface WithFaults {
  readonly faults?: FaultOptions
}

export type LinkKind = keyof LinkSpecs

/** A link, by kind. */
export type LinkSpec<K extends LinkKind = LinkKind> = {
  readonly [P in K]: { readonly kind: P } & LinkSpecs[P] & WithFaults
}[K]

/** A link in the device's thread. */
export interface OpenedLink {
  /** What the NIC is given: perhaps another link around `injected`, that makes faults. */
  readonly link: Link
  /** Where injected frames go, if it takes any. */
  readonly injected?: InjectedLink
  /** What became of the file that it reads; asked when the link has ended. */
  readonly readFile?: () => ReadFile
}

/** Result of reading a capture file to its end. */
export interface ReadFile {
  /** The file ended within a record. */
  readonly truncated: boolean
  /** Packets of interfaces that are not Ethernet, which were skipped. */
  readonly otherLinkPackets: number
}

/** Opens a link of kind `K`; calls `transmitted` for what is sent to the stack's thread. */
type LinkFactory<K extends LinkKind> = (
  spec: LinkSpec<K>,
  transmitted: (frame: LinkFrame) => void,
) => OpenedLink

/** A factory for each kind. */
export type LinkKinds = { readonly [K in LinkKind]: LinkFactory<K> }

export const linkKinds: LinkKinds = {
  wire: ({ queueBytes = 2 ** 22 }, transmitted) => {
    const bytes = checkInteger('queueBytes', queueBytes, 4096, 2 ** 30)
    const injected = new InjectedLink(bytes, transmitted)
    return { link: injected, injected }
  },
  capture: ({ path, ...options }) => {
    const link = openCapture(path, options)
    const readFile = (): ReadFile => {
      const { truncated, otherLinkPackets } = link
      return { truncated, otherLinkPackets }
    }
    return { link, readFile }
  },
  generator: (options) => ({ link: createGenerator(options) }),
}
