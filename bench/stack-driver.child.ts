/**
 * Cost of a driver in the thread that runs it: packets polled, made into skbs, freed and their
 * buffers posted again, with a NIC in the same thread whose work is not counted. One kind of driver
 * in a process, as in the programs that use it: the engine sees one kind at each call.
 */

import { createPool, dualPool, sharedProvider } from 'netmem'
import { type AnySkb, type DriverNic, openNetmemDriver, openPageDriver } from 'netmem/stack'
import {
  createDoorbell,
  NicRxRing,
  RX_CHECKSUM_OK,
  RX_END_OF_PACKET,
  RX_SPLIT,
  RxCompletion,
  type RxRings,
} from 'netmem/stack/rings'
import { median } from './measure.ts'
import { answer } from './processes.ts'

export interface DriverRequest {
  /** The first request settles it. */
  readonly driver: 'page driver' | 'netmem driver'
  /** Times that the ring is filled and emptied. */
  readonly rounds: number
}

const RING = 256
/** Headers of Ethernet, IPv4 and TCP with timestamps, and the payload of a jumbo frame. */
const HEADER_BYTES = 66
const MSS = 8948

/** Says that frames are in the buffers posted to it, and writes none. */
class IdleNic implements DriverNic {
  readonly queues = 1
  readonly doorbell: SharedArrayBuffer = createDoorbell()
  readonly #posted = { id: -1, region: -1, offset: 0, bytes: 0 }
  readonly #completion = new RxCompletion()
  #ring: NicRxRing | undefined
  #regions = 0

  mapHost(): Promise<number> {
    return Promise.resolve(this.#regions++)
  }

  startQueue(_queue: number, rings: RxRings): Promise<void> {
    this.#ring = new NicRxRing(rings)
    return Promise.resolve()
  }

  stopQueue(): Promise<void> {
    this.#ring = undefined
    return Promise.resolve()
  }

  startTxQueue(): Promise<void> {
    return Promise.resolve()
  }

  stopTxQueue(): Promise<void> {
    return Promise.resolve()
  }

  /** Fills all that is posted. Returns how many frames that are. */
  fill(): number {
    const ring = this.#ring
    if (ring === undefined) return 0
    const completion = this.#completion
    completion.bytes = MSS
    completion.headerBytes = HEADER_BYTES
    completion.flags = RX_SPLIT | RX_CHECKSUM_OK | RX_END_OF_PACKET
    let frames = 0
    for (; ring.peek(0, this.#posted); frames++) {
      completion.id = this.#posted.id
      ring.take(1)
      ring.complete(completion)
    }
    ring.flush()
    return frames
  }
}

async function open(
  kind: DriverRequest['driver'],
  nic: DriverNic,
): Promise<{ poll(budget?: number): number }> {
  const layout = { pages: 2 * RING, pageSize: 16_384 }
  const options = {
    headerPool: createPool(sharedProvider({ pages: 64, pageSize: 4096 })),
    ringSize: RING,
    deliver: (skb: AnySkb) => skb.free(),
  }
  return kind === 'page driver'
    ? await openPageDriver(nic, { ...options, pools: [createPool(sharedProvider(layout))] })
    : await openNetmemDriver(nic, { ...options, pools: [dualPool(sharedProvider(layout))] })
}

let opened: { readonly nic: IdleNic; readonly poll: () => number } | undefined

answer(async ({ driver: kind, rounds }: DriverRequest) => {
  if (opened === undefined) {
    const nic = new IdleNic()
    const driver = await open(kind, nic)
    opened = { nic, poll: () => driver.poll() }
  }
  const { nic, poll } = opened
  const nsPerPacket: number[] = []
  for (let round = 0; round < rounds; round++) {
    const filled = nic.fill()
    const beganMs = performance.now()
    let packets = 0
    for (let more = poll(); more > 0; more = poll()) packets += more
    nsPerPacket.push(((performance.now() - beganMs) * 1e6) / packets)
    if (packets !== filled) throw new Error(`${packets} of ${filled} packets were delivered`)
  }
  // The median leaves out rounds that were interrupted.
  return { ns: median(nsPerPacket) }
})
