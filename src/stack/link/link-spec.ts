/** Descriptions of links: plain data that the stack's thread sends and the device's thread opens. */

import type { CaptureOptions } from './capture/open-capture.ts'
import type { FaultOptions } from './fate.ts'
import type { GeneratorOptions } from './generator.ts'

/** Descriptions of links by kind: plain data, which the device's thread makes links of. */
export interface LinkSpecs {
  /** A link whose far end is in the stack's thread: see `Nic.inject` and `transmitted`. */
  readonly injected: {
    /** Bytes of injected frames that may wait for the NIC: 4096 to 2^30. 4 MiB by default. */
    readonly queueBytes?: number
  }
  /** A pcap or pcapng file, read in the device's thread: see `openCapture`. */
  readonly capture: CaptureOptions & {
    /** Path of the file. */
    readonly path: string
  }
  /** TCP flows made as fast as they are taken: see `createGenerator`. */
  readonly generator: GeneratorOptions
}

/** Faults between a link of any kind and its NIC. */
export interface WithFaults {
  /** Faults of received frames. None by default. */
  readonly faults?: FaultOptions
}

export type LinkKind = keyof LinkSpecs

/** Description of a link, by kind. */
export type LinkSpec<K extends LinkKind = LinkKind> = {
  readonly [P in K]: { readonly kind: P } & LinkSpecs[P] & WithFaults
}[K]

/** Result of reading a capture file to its end. */
export interface ReadFile {
  /** The file ended within a record. */
  readonly truncated: boolean
  /** Packets of interfaces that are not Ethernet, which were skipped. */
  readonly otherLinkPackets: number
}
