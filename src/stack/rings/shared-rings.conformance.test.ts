// The rings that driver and NIC share, as every queue is tested, and from the edge of their counters.
import { queueConformance } from '../testing/queue-conformance.ts'
import { createDoorbell } from './doorbell.ts'
import { createRxRings, DriverRxRing, NicRxRing } from './shared-rings.ts'

queueConformance('shared rings', (entries) => {
  const rings = createRxRings(entries, undefined, createDoorbell())
  return { driver: new DriverRxRing(rings), nic: new NicRxRing(rings) }
})
