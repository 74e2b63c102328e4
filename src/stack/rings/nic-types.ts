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

/**
 * Counters of one receive queue since the NIC was made. Where Linux counts the same, the name is the
 * one of its netdev queue statistics (Documentation/netlink/specs/netdev.yaml, qstats).
 */
export interface RxQueueStats {
  /** Frames delivered, as they were sent: each coalesced segment counts. */
  readonly rx_packets: number
  readonly rx_bytes: number
  /** Frames dropped at this queue. The next three counters are its parts. */
  readonly rx_hw_drops: number
  /** Frames dropped because too few buffers were posted, or the completion ring was full. */
  readonly rx_hw_drop_overruns: number
  /** Frames dropped because a posted buffer or header buffer is not mapped for the device. */
  readonly rx_dma_faults: number
  /** Frames dropped because the queue was stopped. */
  readonly rx_stopped: number
  /** Frames whose checksums the NIC found right. */
  readonly rx_csum_unnecessary: number
  /** Frames with a wrong checksum; they are delivered with `RX_CHECKSUM_BAD`. */
  readonly rx_csum_bad: number
  /** Frames without a checksum, or not verified. */
  readonly rx_csum_none: number
  /** Frames split, including those that fit in the header buffer whole. */
  readonly rx_hsplit_packets: number
  /** Frames that a splitting queue could not split. */
  readonly rx_hsplit_unsplit: number
  /** Packets made of several segments. */
  readonly rx_hw_gro_packets: number
  readonly rx_hw_gro_bytes: number
  /** Segments in those packets, with their own headers. */
  readonly rx_hw_gro_wire_packets: number
  readonly rx_hw_gro_wire_bytes: number
  /** Frames of which a capture kept only a part; they are delivered as they are. */
  readonly rx_truncated: number
}

/** Counters of one transmit queue. */
export interface TxQueueStats {
  readonly tx_packets: number
  readonly tx_bytes: number
  /** Packets dropped at this queue. The next two counters are its parts. */
  readonly tx_hw_drops: number
  /** Packets dropped because a piece is not mapped for the device. */
  readonly tx_dma_faults: number
  /** Packets dropped because they are too long, too short, or in too many pieces. */
  readonly tx_hw_drop_errors: number
  /** Packets whose checksum the NIC completed. */
  readonly tx_needs_csum: number
  readonly tx_csum_none: number
}

/** Counters of the NIC that belong to no queue. */
export interface NicDeviceStats {
  /** Frames shorter than an Ethernet header, dropped before any queue. */
  readonly rx_length_errors: number
  /** Frames that matched a steering rule. */
  readonly rx_steered: number
  /** Times the NIC paused its link because a queue was dry. */
  readonly tx_pause_frames: number
}

/** Counters of a NIC, by device and by queue. */
export interface NicStats {
  /** Sums over all queues, and the counters of no queue. */
  readonly device: RxQueueStats & TxQueueStats & NicDeviceStats
  readonly rxQueues: readonly RxQueueStats[]
  readonly txQueues: readonly TxQueueStats[]
}
