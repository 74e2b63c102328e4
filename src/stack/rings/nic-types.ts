/** Plain data between a NIC and its control plane, which crosses `postMessage`. */

/** Entries of the RSS indirection table, as in most hardware. */
export const RSS_TABLE_ENTRIES = 128

/** Limit of steering rules of a NIC. */
export const MAX_STEERING_RULES = 1024

/**
 * Places of headers:
 * - `off`: the posted buffer, before the payload.
 * - `headers`: the header buffer, which holds all of the headers and no payload.
 * - `fill`: the header buffer, filled up with the first bytes of payload.
 */
export type HeaderSplit = 'off' | 'headers' | 'fill'

/** Settings of a receive queue from its start to its stop. */
export interface RxQueueConfig {
  /** Place of the headers. */
  readonly split: HeaderSplit
  /** True, the default, if UDP is split, too. Otherwise TCP alone is. */
  readonly splitUdp?: boolean
  /** Bytes of the largest frame that goes into the header buffer whole. 0: no frame does. */
  readonly splitThresholdBytes: number
  /** True if its buffers are device memory, which needs header split. */
  readonly boundToDevice: boolean
  /** Appends consecutive TCP segments to one buffer (hardware GRO). */
  readonly coalesce: boolean
}

/**
 * Match of flows, tried before RSS. A rule without masks that has all four values is a 5-tuple rule,
 * and one with the destination alone a 3-tuple rule. 5-tuple rules come first, then 3-tuple rules,
 * then all others in the order of their locations.
 */
export interface SteeringRule {
  /** Protocol above IP. */
  readonly protocol: 'tcp' | 'udp'
  /** Version of IP. Default: the version of the addresses, and both versions without addresses. */
  readonly ipVersion?: 4 | 6
  /** Address of 4 or 16 bytes in network order. Any address by default. */
  readonly destinationAddress?: Uint8Array
  /** 0 to 65,535. Any port by default. */
  readonly destinationPort?: number
  /** Sender to match. Any sender by default. */
  readonly source?: {
    /** Address of the destination's length. Any address by default. */
    readonly address?: Uint8Array
    /** 0 to 65,535. Any port by default. */
    readonly port?: number
  }
  /** Bits of the values that are compared. All bits by default. */
  readonly masks?: SteeringMasks
  /** Number of the queue that the flow goes to. */
  readonly queue: number
  /** 0 to 1023. The lowest free location by default. */
  readonly location?: number
}

/** Masks of the values of a {@link SteeringRule}: bits that are 0 are not compared. */
export interface SteeringMasks {
  /** Mask of the destination address, of the address's length. */
  readonly destinationAddress?: Uint8Array
  /** 0 to 65,535. */
  readonly destinationPort?: number
  /** Mask of the source address, of the address's length. */
  readonly sourceAddress?: Uint8Array
  /** 0 to 65,535. */
  readonly sourcePort?: number
}

/** Settings of a whole NIC, besides its queues, memory and link. */
export interface NicSettings {
  /** Transmit queues: 1 to 256. As many as receive queues by default. */
  readonly txQueues?: number
  /** Verifies checksums. True by default. Partial checksums count as verified either way. */
  readonly verifyChecksums?: boolean
  /**
   * Flow control as in IEEE 802.3x. A frame that finds no buffer stays on the link, and all frames
   * behind it wait, until the driver posts buffers. At most that one frame waits in the NIC.
   *
   * False by default: the NIC drops frames that find no buffer.
   */
  readonly pause?: boolean
  /**
   * Ms, at least 0, after which a waiting frame is dropped. 8000 by default.
   *
   * Its queue then drops frames without waiting, until it takes a frame again.
   */
  readonly pauseLimitMs?: number
  /** Bytes of the longest frame that it sends: 14 to 2^20. 65,553 by default. */
  readonly maxFrameBytes?: number
}

/** Abilities of a NIC, and the settings it was made with. */
export interface NicFeatures {
  /** Receive queues. */
  readonly rxQueues: number
  /** Transmit queues. */
  readonly txQueues: number
  /** True if it verifies checksums. */
  readonly verifiesChecksums: boolean
  /** True if it pauses its link while a queue has no buffers. */
  readonly pause: boolean
  /** Bytes of the longest frame that it sends. */
  readonly maxFrameBytes: number
}

/**
 * Counters of one receive queue since the NIC was made. Where Linux counts the same, the name is the
 * one of its netdev queue statistics (Documentation/netlink/specs/netdev.yaml, qstats).
 */
export interface RxQueueStats {
  /** Frames delivered, as they were sent: each coalesced segment counts. */
  readonly rx_packets: number
  /** Bytes of those frames. */
  readonly rx_bytes: number
  /** Frames dropped at this queue. The next three counters are its parts. */
  readonly rx_hw_drops: number
  /** Frames dropped because too few buffers were posted, or the completion ring was full. */
  readonly rx_hw_drop_overruns: number
  /**
   * Frames dropped because a posted buffer or header buffer is not mapped for the device. The
   * buffers are completed with `RX_FAULT`.
   */
  readonly rx_dma_faults: number
  /** Frames dropped because the queue was stopped. */
  readonly rx_stopped: number
  /** Frames whose checksums the NIC found right. */
  readonly rx_csum_unnecessary: number
  /** Frames with a wrong checksum. They are delivered with `RX_CHECKSUM_BAD`. */
  readonly rx_csum_bad: number
  /** Frames without a checksum, or not verified. */
  readonly rx_csum_none: number
  /** Frames split, including those that fit in the header buffer whole. */
  readonly rx_hsplit_packets: number
  /** Frames that a splitting queue could not split. */
  readonly rx_hsplit_unsplit: number
  /** Packets made of several segments. */
  readonly rx_hw_gro_packets: number
  /** Bytes of those packets, with the headers of each first segment alone. */
  readonly rx_hw_gro_bytes: number
  /** Segments in those packets, with their own headers. */
  readonly rx_hw_gro_wire_packets: number
  /** Bytes of those segments as they were sent. */
  readonly rx_hw_gro_wire_bytes: number
  /** Frames of which a capture kept only a part. They are delivered as they are. */
  readonly rx_truncated: number
  /** Frames dropped because their packet is larger than the NIC receives (MRU). */
  readonly rx_over_mru: number
}

/** Counters of one transmit queue. */
export interface TxQueueStats {
  /** Frames sent, as on the wire: each segment of a packet that the NIC cuts counts (TSO). */
  readonly tx_packets: number
  /** Bytes of those frames. */
  readonly tx_bytes: number
  /** Packets dropped at this queue. The next two counters are its parts. */
  readonly tx_hw_drops: number
  /** Packets dropped because a piece is not mapped for the device. */
  readonly tx_dma_faults: number
  /**
   * Packets dropped because they are too long or too short, or have no end although the ring is full.
   * Also packets to be cut that are not TCP with the headers that the driver states.
   */
  readonly tx_hw_drop_errors: number
  /** Packets whose checksum the NIC completed. */
  readonly tx_needs_csum: number
  /** Packets sent with the checksum that the driver gave them. */
  readonly tx_csum_none: number
  /** Packets that were longer than a segment, and had to be cut (TSO). */
  readonly tx_hw_gso_packets: number
  /** Bytes of those packets, with one set of headers each. */
  readonly tx_hw_gso_bytes: number
  /** Segments of those packets. */
  readonly tx_hw_gso_wire_packets: number
  /** Bytes of those segments, each with its own headers. */
  readonly tx_hw_gso_wire_bytes: number
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
  /** Counters of each receive queue. */
  readonly rxQueues: readonly RxQueueStats[]
  /** Counters of each transmit queue. */
  readonly txQueues: readonly TxQueueStats[]
}
