/**
 * What a control plane tells a NIC and hears from it: plain data that crosses `postMessage`.
 */

/** Entries of the RSS indirection table, as in most hardware. */
export const RSS_TABLE_ENTRIES = 128

/** Steering rules a NIC has at most. */
export const MAX_STEERING_RULES = 1024

/**
 * Where headers go:
 * - `off`: into the posted buffer, before the payload.
 * - `headers`: into the header buffer, all of them and nothing else.
 * - `fill`: into the header buffer, which is filled up with the first bytes of payload.
 */
export type HeaderSplit = 'off' | 'headers' | 'fill'

/** How a receive queue works from its start to its stop. */
export interface RxQueueConfig {
  readonly split: HeaderSplit
  /** A frame of at most so many bytes goes into the header buffer whole, and takes no other. 0: none does. */
  readonly splitThresholdBytes: number
  /** Its buffers are device memory: header split must be on. */
  readonly boundToDevice: boolean
  /** Appends TCP segments that follow each other to one buffer (hardware GRO). */
  readonly coalesce: boolean
}

/** An exact match, tried before RSS. With a source it is a 5-tuple rule, without one a 3-tuple rule; the former go first. */
export interface SteeringRule {
  readonly protocol: 'tcp' | 'udp'
  /** 4 or 16 bytes in network order. */
  readonly destinationAddress: Uint8Array
  readonly destinationPort: number
  readonly source?: {
    /** As many bytes as the destination's. */
    readonly address: Uint8Array
    readonly port: number
  }
  readonly queue: number
}

/** A rule with the number that it is removed by (ethtool's word is location). */
export interface LocatedRule {
  readonly location: number
  readonly rule: SteeringRule
}

/** How the whole NIC is made, its queues, memory and link aside. */
export interface NicSettings {
  /** Transmit queues: 1 to 256; as many as receive queues by default. */
  readonly txQueues?: number
  /** Verifies checksums; on by default. Partial ones count as verified either way. */
  readonly verifyChecksums?: boolean
  /**
   * Flow control as of IEEE 802.3x: a frame that its queue has no buffers for stays on the link, and
   * with it all frames behind it, until there are some. Off by default: such a frame is dropped.
   * At most that one frame waits in the NIC.
   */
  readonly pause?: boolean
  /**
   * Ms, at least 0, after which a waiting frame is dropped, 8000 by default. The queue that it was
   * for then drops without waiting until it takes a frame again.
   */
  readonly pauseLimitMs?: number
  /** Longest frame that it sends: 14 to 2^20 bytes; 65553 by default. */
  readonly maxFrameBytes?: number
}

/** What a NIC can do, and how it was made. */
export interface NicFeatures {
  readonly rxQueues: number
  readonly txQueues: number
  readonly rssTableEntries: number
  readonly maxSteeringRules: number
  readonly headerSplit: readonly HeaderSplit[]
  readonly deviceMemory: boolean
  readonly coalescing: boolean
  readonly verifiesChecksums: boolean
  readonly pause: boolean
  /** Longest frame that it sends. */
  readonly maxFrameBytes: number
}

/** Makes a NIC do what one hopes it never does, for tests. All off by default. */
export interface NicKnobs {
  /** The next `times` starts of this receive queue fail. */
  readonly failQueueStart?: { readonly queue: number; readonly times: number }
  /** The next so many frames that would be split have headers too large for their buffer. */
  readonly headerOverflowFrames?: number
  /** The next `frames` frames that match a rule go to this queue instead. */
  readonly misroute?: { readonly queue: number; readonly frames: number }
  /** Receive queues that work as if no buffer were posted. */
  readonly dryQueues?: readonly number[]
}

/** Counters of one receive queue since the NIC was made, under the names of `ethtool -S`. */
export interface RxQueueStats {
  /** Frames delivered, as they were on the wire: each coalesced segment counts. */
  readonly rx_packets: number
  readonly rx_bytes: number
  /** All frames lost at this queue; the next three say why. */
  readonly rx_dropped: number
  /** Not enough buffers were posted, or there was no room for completions. */
  readonly rx_out_of_buffer: number
  /** A posted buffer or a header buffer was not in memory mapped for the device. */
  readonly rx_dma_faults: number
  /** The queue was not started. */
  readonly rx_stopped: number
  /** Checksums verified. */
  readonly rx_csum_ok: number
  /** Wrong checksums: delivered, without saying that they are right. */
  readonly rx_csum_bad: number
  /** Checksums not looked at, or none there. */
  readonly rx_csum_none: number
  /** Frames split, those that fit in the header buffer whole included. */
  readonly rx_hsplit_packets: number
  /** Frames that could not be split although the queue splits. */
  readonly rx_hsplit_unsplit: number
  /** Packets made of several frames, and those frames. */
  readonly rx_gro_packets: number
  readonly rx_gro_bytes: number
  readonly rx_gro_wire_packets: number
  readonly rx_gro_wire_bytes: number
  /** Frames of which a capture had kept a part only: delivered as they are. */
  readonly rx_truncated: number
}

/** Counters of one transmit queue. */
export interface TxQueueStats {
  readonly tx_packets: number
  readonly tx_bytes: number
  /** All packets lost at this queue; the next two say why. */
  readonly tx_dropped: number
  /** A piece was not in memory mapped for the device. */
  readonly tx_dma_faults: number
  /** Too long, too many pieces, or shorter than an Ethernet header. */
  readonly tx_length_errors: number
  /** Packets whose checksum the NIC completed, and all others. */
  readonly tx_csum_offload: number
  readonly tx_csum_none: number
}

/** What no queue counts. */
export interface NicDeviceStats {
  /** Frames shorter than an Ethernet header: dropped before any queue. */
  readonly rx_length_errors: number
  /** Frames that matched a steering rule. */
  readonly rx_steered: number
  /** Times that the link was paused because a queue was dry. */
  readonly tx_pause_frames: number
}

/** Counters of a NIC, by device and by queue. */
export interface NicStats {
  /** The sums over all queues, and what no queue counts. */
  readonly device: RxQueueStats & TxQueueStats & NicDeviceStats
  readonly rxQueues: readonly RxQueueStats[]
  readonly txQueues: readonly TxQueueStats[]
}

/** The same under the names of qstats (Linux, Documentation/netlink/specs/netdev.yaml). What a driver counts, rx-alloc-fail, is not here. */
export interface RxQstats {
  readonly 'rx-packets': number
  readonly 'rx-bytes': number
  readonly 'rx-hw-drops': number
  readonly 'rx-hw-drop-overruns': number
  readonly 'rx-csum-unnecessary': number
  readonly 'rx-csum-none': number
  readonly 'rx-csum-bad': number
  readonly 'rx-hw-gro-packets': number
  readonly 'rx-hw-gro-bytes': number
  readonly 'rx-hw-gro-wire-packets': number
  readonly 'rx-hw-gro-wire-bytes': number
}

export interface TxQstats {
  readonly 'tx-packets': number
  readonly 'tx-bytes': number
  readonly 'tx-hw-drops': number
  readonly 'tx-hw-drop-errors': number
  readonly 'tx-csum-none': number
  readonly 'tx-needs-csum': number
}
