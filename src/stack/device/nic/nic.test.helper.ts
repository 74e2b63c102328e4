/** A NIC with a link that plays frames, and drivers that keep all they get, for tests. */

import assert from 'node:assert/strict'
import { createFrameMemory, type FrameMemory } from '../../../wire/frame-memory.ts'
import {
  emptyFrame,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  ORDINARY_FRAMES,
} from '../../link/link.ts'
import { createDoorbell } from '../../rings/doorbell.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import {
  type PostedBuffers,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_SPLIT,
  RxCompletion,
} from '../../rings/rx-front-end.ts'
import { createRxRings, DriverRxRing, NicRxRing } from '../../rings/shared-rings.ts'
import { DmaSpace } from '../dma-space.ts'
import { NetworkCard, type NetworkCardOptions } from './network-card.ts'

/** Frame that a test puts on the link. */
export interface TestFrame {
  readonly bytes: Uint8Array
  readonly originalLength?: number
  readonly checksum?: 'complete' | 'partial'
  readonly segmentBytes?: number
}

/** Plays frames one after the other, from one place in memory, and keeps those sent. */
export class TestLink implements Link {
  features: LinkFeatures = ORDINARY_FRAMES
  readonly sent: Uint8Array[] = []
  readonly sentChecksums: string[] = []
  readonly sentSegmentBytes: number[] = []
  /** Bytes of each sent frame that were copied. */
  readonly sentCopied: number[] = []
  transmitPieces: Link['transmitPieces'] = undefined
  readonly #frames: TestFrame[] = []
  readonly #memory: FrameMemory = createFrameMemory(0x6_0000)
  readonly #frame: LinkFrame = emptyFrame(this.#memory)
  #next = 0

  put(...frames: readonly (TestFrame | Uint8Array)[]): void {
    for (const one of frames) this.#frames.push(one instanceof Uint8Array ? { bytes: one } : one)
  }

  receive(): LinkFrame | undefined {
    const next = this.#frames[this.#next]
    if (next === undefined) return undefined
    const frame = this.#frame
    frame.offset = this.#next++ % 5
    this.#memory.bytes.fill(0xdd, 0, 256)
    this.#memory.bytes.set(next.bytes, frame.offset)
    frame.length = next.bytes.length
    frame.originalLength = next.originalLength ?? next.bytes.length
    frame.checksum = next.checksum ?? 'complete'
    frame.segmentBytes = next.segmentBytes ?? 0
    return frame
  }

  /** Frames that have not been taken. */
  get left(): number {
    return this.#frames.length - this.#next
  }

  nextAtNs(): number {
    return this.ended ? Infinity : 0
  }

  get ended(): boolean {
    return this.left === 0
  }

  transmit({ memory, offset, length, checksum, segmentBytes }: LinkFrame): void {
    this.sent.push(memory.bytes.slice(offset, offset + length))
    this.sentChecksums.push(checksum)
    this.sentSegmentBytes.push(segmentBytes)
    this.sentCopied.push(length)
  }

  /** Takes frames in pieces from now on. */
  takePieces(): void {
    this.transmitPieces = (head, { count, bytes, memories, offsets, lengths }) => {
      this.transmit(head)
      const whole = new Uint8Array(head.originalLength)
      whole.set(this.sent.pop() ?? assert.fail())
      let at = head.length
      for (let piece = 0; piece < count; piece++) {
        const offset = offsets[piece] ?? assert.fail()
        const length = lengths[piece] ?? assert.fail()
        whole.set(memories[piece]?.subarray(offset, offset + length) ?? assert.fail(), at)
        at += length
      }
      assert.deepEqual([at, at - head.length], [head.originalLength, bytes])
      this.sent.push(whole)
    }
  }

  close(): void {}

  [Symbol.dispose](): void {
    this.close()
  }
}

/** A packet as a driver assembles it from completions. */
export interface ReadPacket {
  readonly header: Uint8Array
  /** Bytes of the packet in each buffer. */
  readonly pieces: readonly Uint8Array[]
  readonly flags: number
  readonly segments: number
  readonly segmentBytes: number
  readonly packetType: number
  /** Offset of the data in the first buffer. */
  readonly offset: number
  readonly hash: number
  readonly ids: readonly number[]
}

export const SPLIT: RxQueueConfig = {
  split: 'headers',
  splitThresholdBytes: 0,
  boundToDevice: false,
  coalesce: false,
}
export const UNSPLIT: RxQueueConfig = { ...SPLIT, split: 'off' }

export interface TestDriverOptions {
  readonly entries?: number
  readonly headerBytes?: number
  /** Header buffers in a page. */
  readonly headersPerPage?: number
  /** True if every packet takes a buffer, from its first byte on. */
  readonly needy?: boolean
}

/** A ring end as hardware descriptors need it. */
class NeedyRxRing extends NicRxRing {
  override readonly everyPacketTakesABuffer: boolean = true
  override readonly noOffset: boolean = true

  peekAll(bytes: number, into: PostedBuffers): boolean {
    const buffer = { id: -1, region: -1, offset: 0, bytes: 0 }
    into.count = 0
    for (let left = bytes; left > 0; left -= buffer.bytes) {
      if (!this.peek(into.count, buffer) || buffer.bytes <= 0) return false
      into.add(buffer.region, buffer.offset, buffer.bytes)
      into.ids[into.count - 1] = buffer.id
    }
    return true
  }

  completeAll(
    completion: RxCompletion,
    { count, ids, lengths }: PostedBuffers,
    bytes: number,
  ): void {
    let left = bytes
    for (let index = 0; index < count; index++) {
      completion.id = ids[index] ?? -1
      completion.bytes = Math.min(left, lengths[index] ?? 0)
      left -= completion.bytes
      if (index + 1 === count) completion.flags |= RX_END_OF_PACKET
      this.complete(completion)
      completion.headerBytes = 0
      completion.flags |= RX_CONTINUES
    }
  }
}

const UNTOUCHED = new Uint8Array(1 << 20).fill(0xcc)

/** A driver that posts buffers of any size out of one region, and reads what it gets at once. */
export class TestDriver {
  readonly frontEnd: NicRxRing
  readonly ring: DriverRxRing
  /** Posted and not completed, by id. */
  readonly posted: Map<number, { readonly offset: number; readonly bytes: number }> = new Map()
  readonly packets: ReadPacket[] = []
  /** Completions with RX_FAULT. */
  faults = 0
  readonly #payload: Uint8Array
  readonly region: number
  /** Memory of the header buffers. */
  readonly headers: Uint8Array
  readonly #headerBytes: number
  #nextId = 0
  #nextOffset = 0

  constructor(dma: DmaSpace, options: TestDriverOptions = {}) {
    const { entries = 64, headerBytes = 128, headersPerPage = 16 } = options
    this.#payload = new Uint8Array(UNTOUCHED)
    this.region = dma.map(this.#payload)
    this.#headerBytes = headerBytes
    this.headers = new Uint8Array(entries * headerBytes)
    const headerRegion = dma.map(this.headers)
    const pages = []
    for (let at = 0; at < entries; at += headersPerPage) {
      const buffers = Math.min(headersPerPage, entries - at)
      pages.push({ region: headerRegion, offset: at * headerBytes, buffers })
    }
    const headers = headerBytes === 0 ? undefined : { bytes: headerBytes, pages }
    const rings = createRxRings(entries, headers, createDoorbell())
    this.ring = new DriverRxRing(rings)
    this.frontEnd = options.needy === true ? new NeedyRxRing(rings) : new NicRxRing(rings)
  }

  /** Leaves bytes out between two buffers, which touch otherwise. */
  leaveGap(bytes: number): void {
    this.#nextOffset += bytes
  }

  /** Posts one buffer for each of the sizes. */
  post(...sizes: readonly number[]): void {
    for (const bytes of sizes) {
      if (this.#nextOffset + bytes > this.#payload.length) this.#nextOffset = 0
      const id = this.#nextId++
      this.posted.set(id, { offset: this.#nextOffset, bytes })
      this.ring.post(id, this.region, this.#nextOffset, bytes)
      this.#nextOffset += bytes
    }
    this.ring.flush()
  }

  /** Reads all packets that are complete. */
  read(): readonly ReadPacket[] {
    const completion = new RxCompletion()
    const read: ReadPacket[] = []
    let pieces: Uint8Array[] = []
    let ids: number[] = []
    let starts = 0
    let header = new Uint8Array(0)
    while (this.ring.poll(completion)) {
      const { id, offset, bytes, headerBytes, flags, hash, segments } = completion
      const { segmentBytes, packetType } = completion
      if ((flags & RX_FAULT) !== 0) {
        assert.equal(flags, RX_FAULT | RX_END_OF_PACKET)
        assert.deepEqual([pieces.length, bytes, headerBytes], [0, 0, 0])
        this.posted.delete(id)
        this.faults++
        continue
      }
      const continues = pieces.length > 0
      assert.equal((flags & RX_CONTINUES) !== 0, continues)
      if (!continues) {
        header = this.#header(headerBytes)
        starts = offset
      } else assert.equal(headerBytes, 0)
      assert.equal((flags & RX_SPLIT) !== 0, header.length > 0)
      if (id >= 0) {
        pieces.push(this.#piece(id, offset, bytes))
        ids.push(id)
      } else assert.equal(bytes, 0)
      if ((flags & RX_END_OF_PACKET) === 0) continue
      const of = { segments, segmentBytes, packetType, hash, ids, offset: starts }
      read.push({ header, pieces, flags: flags & ~RX_CONTINUES, ...of })
      pieces = []
      ids = []
    }
    assert.equal(pieces.length, 0, 'a packet without an end')
    this.ring.flush()
    this.packets.push(...read)
    return read
  }

  #header(bytes: number): Uint8Array<ArrayBuffer> {
    const at = this.ring.headerBuffer * this.#headerBytes
    return this.headers.slice(at, at + bytes)
  }

  #piece(id: number, offset: number, bytes: number): Uint8Array {
    const buffer = this.posted.get(id)
    assert.ok(buffer !== undefined, 'a buffer that is not posted')
    assert.ok(bytes >= 0 && offset + bytes <= buffer.bytes)
    this.posted.delete(id)
    const at = buffer.offset + offset
    const piece = this.#payload.slice(at, at + bytes)
    this.#payload.fill(0xcc, buffer.offset, buffer.offset + buffer.bytes)
    return piece
  }

  /** True if nothing was written but to completed buffers. */
  get untouched(): boolean {
    return Buffer.compare(this.#payload, UNTOUCHED) === 0
  }
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

/** All of a packet, header first. */
export function wholeOf({ header, pieces }: ReadPacket): Uint8Array {
  return join(header, ...pieces)
}

export interface TestNic {
  readonly nic: NetworkCard
  readonly link: TestLink
  readonly dma: DmaSpace
  readonly drivers: readonly TestDriver[]
}

/** A NIC with a driver for each queue. None is started. */
export function testNic(
  options: Partial<NetworkCardOptions> = {},
  driverOptions: TestDriverOptions = {},
): TestNic {
  const dma = new DmaSpace()
  const link = new TestLink()
  const queues = options.queues ?? 1
  const nic = new NetworkCard({ dma, link, queues, ...options })
  const drivers = Array.from({ length: queues }, () => new TestDriver(dma, driverOptions))
  return { nic, link, dma, drivers }
}

/** A NIC of one queue that is started, and its driver. */
export function oneQueue(
  config: Partial<RxQueueConfig> = {},
  options: Partial<NetworkCardOptions> = {},
  driverOptions: TestDriverOptions = {},
): {
  readonly nic: NetworkCard
  readonly link: TestLink
  readonly dma: DmaSpace
  readonly driver: TestDriver
} {
  const made = testNic(options, driverOptions)
  const driver = made.drivers[0]
  assert.ok(driver !== undefined)
  made.nic.startQueue(0, driver.frontEnd, { ...SPLIT, ...config })
  return { ...made, driver }
}

/** Receives all frames and reads them. */
export function receiveAll(
  nic: NetworkCard,
  link: TestLink,
  driver: TestDriver,
): readonly ReadPacket[] {
  const left = link.left
  assert.equal(nic.receive(0, Infinity), left)
  return driver.read()
}
