/** A NIC in another thread for the tests of the rings: completes and takes what it finds, in order. */

import { parentPort, workerData } from 'node:worker_threads'
import { sleepUntilWork, workSeen } from './doorbell.ts'
import {
  type PostedBuffer,
  RX_CHECKSUM_OK,
  RX_END_OF_PACKET,
  RxCompletion,
} from './rx-front-end.ts'
import { NicRxRing, type RxRings } from './shared-rings.ts'
import { NicTxRing, type TxRing } from './shared-tx-rings.ts'
import { TxPieces } from './tx-front-end.ts'

export interface RingJob {
  readonly rx: RxRings
  readonly tx: TxRing
  /** The one region that header buffers are in: each gets the number of its completion. */
  readonly headers: SharedArrayBuffer
  /** Buffers to complete and pieces to take before it ends. */
  readonly count: number
}

/** Result of the worker: faults, and the number of its sleeps. */
export interface RingReport {
  readonly wrong: readonly string[]
  readonly slept: number
}

const { rx, tx, headers, count }: RingJob = workerData
const rxRing = new NicRxRing(rx)
const txRing = new NicTxRing(tx)
const doorbell = new Int32Array(rx.doorbell)
const headerView = new DataView(headers)
const buffer: PostedBuffer = { id: -1, region: -1, offset: 0, bytes: 0 }
const header: PostedBuffer = { ...buffer }
const packet = new TxPieces()
const completion = new RxCompletion()
const wrong: string[] = []
let slept = 0
let completed = 0
let taken = 0

function receive(): boolean {
  const batch = Math.min(rxRing.posted(), rxRing.room(), 1 + (completed % 5))
  for (let at = 0; at < batch; at++) {
    if (!rxRing.peek(0, buffer)) wrong.push(`no buffer ${completed}`)
    if (buffer.offset !== completed * 3) wrong.push(`buffer ${completed} at ${buffer.offset}`)
    rxRing.headerBuffer(header)
    headerView.setInt32(header.offset, completed)
    rxRing.take(1)
    completion.id = buffer.id
    completion.bytes = buffer.bytes
    completion.headerBytes = 4
    completion.flags = RX_END_OF_PACKET | RX_CHECKSUM_OK
    completion.hash = -completed
    completion.segments = buffer.region
    rxRing.complete(completion)
    completed++
  }
  if (batch > 0) rxRing.flush()
  return batch > 0
}

function transmit(): boolean {
  const batch = txRing.posted()
  for (let at = 0; at < batch; at++, taken++) {
    if (!txRing.read(packet) || packet.count !== 1) wrong.push(`no piece ${taken}`)
    const { regions, offsets, lengths } = packet
    if (offsets[0] !== taken || regions[0] !== taken * 2 || lengths[0] !== -taken) {
      wrong.push(`piece ${taken} is ${offsets[0]}`)
    }
  }
  txRing.take()
  if (batch > 0) txRing.flush()
  return batch > 0
}

while (completed < count || taken < count) {
  const seen = workSeen(doorbell)
  const received = receive()
  const transmitted = transmit()
  if (received || transmitted) continue
  slept++
  sleepUntilWork(doorbell, seen, 10_000)
}
const report: RingReport = { wrong, slept }
parentPort?.postMessage(report)
