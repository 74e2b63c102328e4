/**
 * Time of the NIC's thread for a frame of 4 KiB that arrives: in the card that a driver model drives, or
 * with the rings that a driver of this process shares with it. Drivers work between the rounds, and
 * count for nothing. One kind in a process, as in the programs that use it.
 */

import { Gvnic } from 'netmem/gvnic'
import { type Link, type LinkFrame, ORDINARY_FRAMES } from 'netmem/stack/link'
import {
  createDoorbell,
  createRxRings,
  DriverRxRing,
  NicRxRing,
  RxCompletion,
} from 'netmem/stack/rings'
import { createFrameMemory } from 'netmem/stack/wire'
import { DmaSpace, DriverModel, NetworkCard } from './internals.ts'
import { median } from './measure.ts'
import { answer } from './processes.ts'
import { HEADER_BYTES, writeHeaders } from './tcp-frame.ts'

export interface FrameRequest {
  /** The first request settles it. */
  readonly end: 'card' | 'rings'
  readonly rounds: number
}

const PAYLOAD_BYTES = 4096
const ENTRIES = 1024
const FRAMES_PER_ROUND = 512
/** Frames of one turn of a device, as a NAPI poll has them. */
const BUDGET = 64

/** Plays frames whose checksums their sender has left to hardware, from a few places in memory. */
class PlayedLink implements Link {
  readonly features = ORDINARY_FRAMES
  readonly ended = false
  left = 0
  readonly #places = 64
  readonly #spacing = 4224
  readonly #frame: LinkFrame
  #next = 0

  constructor() {
    const memory = createFrameMemory(this.#places * this.#spacing)
    for (let place = 0; place < this.#places; place++) {
      writeHeaders(memory.bytes.subarray(place * this.#spacing), PAYLOAD_BYTES)
    }
    const length = HEADER_BYTES + PAYLOAD_BYTES
    this.#frame = {
      ...{ memory, offset: 0, length, originalLength: length, timeNs: 0 },
      ...{ checksum: 'partial', segmentBytes: 0, layout: undefined },
    }
  }

  receive(): LinkFrame | undefined {
    if (this.left === 0) return undefined
    this.left--
    this.#next = (this.#next + 1) % this.#places
    this.#frame.offset = this.#next * this.#spacing
    return this.#frame
  }

  nextAtNs(): number {
    return 0
  }

  transmit(): void {}

  close(): void {}

  [Symbol.dispose](): void {
    this.close()
  }
}

/** An end to measure. */
interface End {
  /** Posts what was read. */
  post(): void
  /** Gives the device a turn. Returns the frames received. */
  turn(): number
  /** Reads completions. Returns the packets. */
  reap(): number
}

function card(link: Link): End {
  const gvnic = new Gvnic({ link, mac: Uint8Array.of(2, 0, 0, 0, 0, 2), queues: 1, mtu: 4148 })
  const driver = new DriverModel(gvnic, { regionBytes: 2 ** 24 })
  driver.probe()
  driver.open({ split: true, bufferBytes: PAYLOAD_BYTES, entries: ENTRIES })
  return {
    post: () => driver.rx[0]?.post(),
    turn: () => gvnic.poll(0),
    reap: () => driver.rx[0]?.discard() ?? 0,
  }
}

function rings(link: Link): End {
  const dma = new DmaSpace()
  const headers = dma.map(new Uint8Array(ENTRIES * 128))
  const payload = dma.map(new Uint8Array(ENTRIES * PAYLOAD_BYTES))
  const page = { region: headers, offset: 0, buffers: ENTRIES }
  const shared = createRxRings(ENTRIES, { bytes: 128, pages: [page] }, createDoorbell())
  const nic = new NetworkCard({ queues: 1, dma, link })
  const place = { split: 'headers', splitThresholdBytes: 0, boundToDevice: false } as const
  nic.startQueue(0, new NicRxRing(shared), { ...place, coalesce: false })
  const driver = new DriverRxRing(shared)
  const completion = new RxCompletion()
  let free = Array.from({ length: ENTRIES }, (_, id) => id)
  return {
    post: () => {
      for (const id of free) driver.post(id, payload, id * PAYLOAD_BYTES, PAYLOAD_BYTES)
      free = []
      driver.flush()
    },
    turn: () => nic.receive(0, BUDGET) + nic.transmit(0),
    reap: () => {
      let packets = 0
      for (; driver.poll(completion); packets++) free.push(completion.id)
      driver.flush()
      return packets
    },
  }
}

let opened: { readonly link: PlayedLink; readonly end: End } | undefined

answer(async ({ end: kind, rounds }: FrameRequest) => {
  if (opened === undefined) {
    const link = new PlayedLink()
    opened = { link, end: kind === 'card' ? card(link) : rings(link) }
  }
  const { link, end } = opened
  const nsPerFrame: number[] = []
  for (let round = 0; round < rounds; round++) {
    end.post()
    link.left = FRAMES_PER_ROUND
    const beganMs = performance.now()
    while (end.turn() > 0);
    nsPerFrame.push(((performance.now() - beganMs) * 1e6) / FRAMES_PER_ROUND)
    const packets = end.reap()
    if (packets !== FRAMES_PER_ROUND) throw new Error(`${packets} packets were received`)
  }
  // The median leaves out rounds that were interrupted.
  return { ns: median(nsPerFrame) }
})
