/** What a driver needs of a NIC, which lives in the device's thread: hence the promises. */

import type { RxRings } from '../nic/shared-rings.ts'

/** How a queue treats what it receives. */
export interface QueueConfig {
  /** `headers`: headers in a header buffer, payload in buffers of its own; `fill`: the header buffer is filled up with payload first. */
  readonly split: 'off' | 'headers' | 'fill'
  /** Frames of at most so many bytes stay in the header buffer (ethtool's hds-thresh). */
  readonly splitThresholdBytes: number
  /** Its payload buffers are device memory. */
  readonly boundToDevice: boolean
  /** Consecutive TCP segments of a flow become one packet. */
  readonly coalesce: boolean
}

export interface NicPort {
  /** RX queues it has. */
  readonly queues: number
  readonly doorbell: SharedArrayBuffer
  /** Maps host memory for DMA, once for each memory; resolves with its region. */
  mapHost(memory: SharedArrayBuffer): Promise<number>
  /** Rejects with NETMEM_QUEUE_START where the hardware refuses. */
  startQueue(queue: number, rings: RxRings, config: QueueConfig): Promise<void>
  /** Resolves when the NIC writes to none of the queue's memory any more. */
  stopQueue(queue: number): Promise<void>
}
