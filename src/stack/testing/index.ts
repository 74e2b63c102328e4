/**
 * `netmem/stack/testing`: what drivers and queues have to do, as tests that yours can be run
 * through, and a NIC without hardware to run them on. Needs Node.js.
 *
 * @module
 */

export {
  type DeliveredPacket,
  type DriverConformanceOptions,
  driverConformance,
  type OpenDriver,
  type TestedDriver,
} from './driver-conformance.ts'
export { HandNic } from './hand-nic.ts'
export {
  type DriverEnd,
  type QueueConformanceOptions,
  type QueueEnds,
  queueConformance,
} from './queue-conformance.ts'
