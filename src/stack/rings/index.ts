/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack/rings`: the parts that a driver and a NIC share, for authors of either. They are receive
 * and transmit rings in shared memory, their completions, and the operations of a NIC.
 *
 * @module
 */

export { DmaPlaces } from './dma-places.ts'
export { createDoorbell } from './doorbell.ts'
export { faultyRxRing, type RxRingFaults } from './faulty-rx-ring.ts'
export { DriverRing, NicRing, type RingParts } from './ring-ends.ts'
export {
  ipVersionOfPacketType,
  kindOfPacketType,
  type PostedBuffer,
  PostedBuffers,
  packetTypeOf,
  RX_CHECKSUM_BAD,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_HEADER_OVERFLOW,
  RX_IP_CHECKSUM_BAD,
  RX_L4_CHECKSUM_BAD,
  RX_SPLIT,
  RxCompletion,
  type RxFrontEnd,
} from './rx-front-end.ts'
export {
  createRxRings,
  DriverRxRing,
  type HeaderPage,
  NicRxRing,
  type RxRings,
} from './shared-rings.ts'
export { createTxRing, DriverTxRing, type TxRing } from './shared-tx-rings.ts'
export { TX_CHECKSUM, TX_END_OF_PACKET, TX_REPORT } from './tx-front-end.ts'
