/** Descriptions of links: plain data that the stack's thread sends and the device's thread opens. */

import type { CaptureOptions } from './capture/capture-link.ts'
import type { FaultOptions } from './fate.ts'
import type { GeneratorOptions } from './generator.ts'
import type { TapOptions } from './tap/tap-link.ts'

/** Descriptions of links by kind: plain data, which the device's thread makes links of. */
export interface LinkSpecs {
  /** A link whose far end is in the stack's thread: see `Nic.inject` and `transmitted`. */
  readonly injected: {
    /** Bytes of injected frames that may wait for the NIC: 4096 to 2^30. 4 MiB by default. */
    readonly queueBytes?: number
  }
  /** A pcap or pcapng file, read in the device's thread: see `createCaptureLink`. */
  readonly capture: CaptureOptions & {
    /** Path of the file. */
    readonly path: string
  }
  /** TCP flows made as fast as they are taken: see `createGenerator`. */
  readonly generator: GeneratorOptions
  /** A TAP interface of the kernel, for a device that runs by itself: see `createTapLink`. */
  readonly tap: TapOptions
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

/** State of a TAP interface when it was opened. */
export interface TapReport {
  /** Name of the interface. */
  readonly name: string
  /** Bytes of the largest IP packet. */
  readonly mtu: number
  /** The kernel's reason not to hand over large frames and partial checksums. `undefined` if it does. */
  readonly offloadRefusal: string | undefined
}
