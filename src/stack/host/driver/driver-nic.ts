/** Operations of a NIC that drivers use. The NIC lives in the device's thread, hence the promises. */

import type { RxQueueConfig } from '../../rings/nic-types.ts'
import type { RxRings } from '../../rings/shared-rings.ts'
import type { TxRing } from '../../rings/shared-tx-rings.ts'

/** Operations of a NIC that a driver uses. */
export interface DriverNic {
  /** Number of RX queues. */
  readonly queues: number
  /** Doorbell that the rings of its queues are made with. */
  readonly doorbell: SharedArrayBuffer
  /** Maps host memory for DMA, once for each memory. Resolves with its region. */
  mapHost(memory: SharedArrayBuffer): Promise<number>
  /**
   * Starts an RX queue.
   *
   * @throws NETMEM_NIC_CONFIG or NETMEM_NIC_BUSY, as a rejection, if the NIC does not start it.
   */
  startQueue(queue: number, rings: RxRings, config: RxQueueConfig): Promise<void>
  /** Stops an RX queue. Resolves when the NIC no longer writes to the queue's memory. */
  stopQueue(queue: number): Promise<void>
  /** Starts a TX queue. */
  startTxQueue(queue: number, ring: TxRing): Promise<void>
  /** Stops a TX queue. Resolves when the NIC no longer reads what is posted. */
  stopTxQueue(queue: number): Promise<void>
}
