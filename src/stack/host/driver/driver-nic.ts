/** What a driver needs of a NIC, which lives in the device's thread: hence the promises. */

import type { RxQueueConfig } from '../../rings/nic-types.ts'
import type { RxRings } from '../../rings/shared-rings.ts'
import type { TxRing } from '../../rings/shared-tx-rings.ts'

/** Operations of a NIC that a driver uses. */
export interface DriverNic {
  /** RX queues it has. */
  readonly queues: number
  readonly doorbell: SharedArrayBuffer
  /** Maps host memory for DMA, once for each memory; resolves with its region. */
  mapHost(memory: SharedArrayBuffer): Promise<number>
  /** Rejects with NETMEM_NIC_CONFIG or NETMEM_NIC_BUSY if the queue does not start. */
  startQueue(queue: number, rings: RxRings, config: RxQueueConfig): Promise<void>
  /** Resolves when the NIC writes to none of the queue's memory any more. */
  stopQueue(queue: number): Promise<void>
  startTxQueue(queue: number, ring: TxRing): Promise<void>
  /** Resolves when the NIC reads none of what is posted any more. */
  stopTxQueue(queue: number): Promise<void>
}
