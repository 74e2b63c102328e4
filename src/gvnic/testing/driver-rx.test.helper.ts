/** Driver's end of a receive queue: posts buffers and reads completions, with the checks that `gve` makes. */

import type { GuestRam } from './guest-ram.test.helper.ts'

const DESCRIPTOR_BYTES = 32
/** The driver rings at multiples of this alone. */
const RING_AT = 32

/** A packet as the driver assembles it. */
export interface ReceivedPacket {
  readonly queue: number
  /** Headers that were split off. Empty if they are in the payload. */
  readonly headers: Uint8Array
  readonly payload: Uint8Array
  readonly buffers: number
  readonly packetType: number
  /** True if the card has verified the checksums, and found them right. */
  readonly verified: boolean
  readonly ipError: boolean
  readonly l4Error: boolean
  readonly headerOverflow: boolean
  /** Payload bytes of each segment. 0 unless the packet is coalesced. */
  readonly segmentBytes: number
  readonly hash: number
}

export interface DriverRxOptions {
  readonly queue: number
  readonly entries: number
  readonly bufferBytes: number
  readonly headerBytes: number
}

export class DriverRx {
  readonly options: DriverRxOptions
  /** Addresses that the driver tells when it creates the queue. */
  readonly completions: number
  readonly buffers: number
  readonly resources: number
  /** Completions with an error, whose buffers came back without a packet. */
  errors = 0
  readonly #ram: GuestRam
  readonly #pages: number
  readonly #headers: number
  readonly #ring: (tail: number) => void
  /** True for each buffer that the card has. */
  readonly #posted: boolean[]
  /** Numbers of the buffers that the card does not have, as a ring: the one that is free longest is next. */
  readonly #free: Uint16Array
  #nextFree = 0
  #freeCount = 0
  #tail = 0
  #head = 0
  #generation = 1
  #parts: { headers: Uint8Array; payload: Uint8Array }[] = []

  /** @param ring writes the tail to the queue's doorbell. */
  constructor(ram: GuestRam, options: DriverRxOptions, ring: (tail: number) => void) {
    const { entries, bufferBytes, headerBytes } = options
    this.#ram = ram
    this.options = options
    this.#ring = ring
    this.completions = ram.allocate(entries * DESCRIPTOR_BYTES)
    this.buffers = ram.allocate(entries * DESCRIPTOR_BYTES)
    this.resources = ram.allocate(64)
    this.#pages = ram.allocate(entries * bufferBytes)
    this.#headers = headerBytes === 0 ? 0 : ram.allocate(entries * headerBytes)
    this.#posted = new Array(entries).fill(false)
    this.#free = new Uint16Array(entries)
    this.#freeAll()
  }

  /** Number of the doorbell that the card has told. */
  get doorbell(): number {
    return this.#ram.view(this.resources, 4).getUint32(0)
  }

  /** Starts again with empty rings, for a queue that is created anew. */
  restart(): void {
    const { entries } = this.options
    this.#ram.memory(this.completions, entries * DESCRIPTOR_BYTES).fill(0)
    this.#ram.memory(this.buffers, entries * DESCRIPTOR_BYTES).fill(0)
    this.#posted.fill(false)
    this.#freeAll()
    this.#tail = this.#head = 0
    this.#generation = 1
    this.#parts = []
  }

  /** Posts free buffers, at most `limit`, and rings at multiples of 32. */
  post(limit: number = Number.MAX_SAFE_INTEGER): void {
    const { entries, bufferBytes, headerBytes } = this.options
    const ram = this.#ram
    let posted = entries - this.#freeCount
    for (let left = limit; left > 0 && posted < entries - 1; left--, posted++) {
      const id = this.#takeFree()
      this.#posted[id] = true
      const view = ram.viewAround(this.buffers + this.#tail * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES)
      const at = ram.offset
      view.setUint16(at, id, true)
      setAddressLe(view, at + 8, this.#pages + id * bufferBytes)
      if (headerBytes > 0) setAddressLe(view, at + 16, this.#headers + id * headerBytes)
      this.#tail = (this.#tail + 1) % entries
      if (this.#tail % RING_AT === 0) this.#ring(this.#tail)
    }
  }

  /** Returns the packets that are complete, in order. Throws where `gve` would complain. */
  poll(): ReceivedPacket[] {
    const { entries } = this.options
    const packets: ReceivedPacket[] = []
    for (;;) {
      const view = this.#completion()
      const at = this.#ram.offset
      if (((view.getUint16(at + 4, true) >> 14) & 1) !== this.#generation) return packets
      const packet = this.#read(view, at)
      if (packet !== undefined) packets.push(packet)
      this.#advance(entries)
    }
  }

  /** Reads completions, and leaves the packets where they are. Returns their number. */
  discard(): number {
    const { entries } = this.options
    let packets = 0
    for (;;) {
      const view = this.#completion()
      const at = this.#ram.offset
      if (((view.getUint16(at + 4, true) >> 14) & 1) !== this.#generation) return packets
      this.#takeBack(view, at)
      if ((view.getUint8(at + 1) & 4) !== 0) this.errors++
      else if ((view.getUint8(at + 8) & 2) !== 0) packets++
      this.#advance(entries)
    }
  }

  /** Returns the view that has the next completion, at the offset of the memory. */
  #completion(): DataView {
    return this.#ram.viewAround(this.completions + this.#head * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES)
  }

  #freeAll(): void {
    for (let id = 0; id < this.#free.length; id++) this.#free[id] = id
    this.#nextFree = 0
    this.#freeCount = this.#free.length
  }

  #takeFree(): number {
    const id = this.#free[this.#nextFree] ?? 0
    this.#nextFree = (this.#nextFree + 1) % this.#free.length
    this.#freeCount--
    return id
  }

  #advance(entries: number): void {
    this.#head = (this.#head + 1) % entries
    if (this.#head === 0) this.#generation ^= 1
  }

  /** Takes the buffer of a completion back. Returns its number. */
  #takeBack(view: DataView, at: number): number {
    const id = view.getUint16(at + 12, true)
    if (view.getUint8(at) !== 1 || (view.getUint8(at + 8) & 1) === 0) {
      throw new Error('This is no completion.')
    }
    if (this.#posted[id] !== true) throw new Error(`Buffer ${id} is not posted.`)
    this.#posted[id] = false
    this.#free[(this.#nextFree + this.#freeCount++) % this.#free.length] = id
    return id
  }

  #read(view: DataView, at: number): ReceivedPacket | undefined {
    const { bufferBytes, headerBytes } = this.options
    const id = this.#takeBack(view, at)
    const status = view.getUint8(at + 8)
    const lengths = view.getUint16(at + 6, true)
    const bytes = view.getUint16(at + 4, true) & 0x3fff
    if ((view.getUint8(at + 1) & 4) !== 0) {
      this.errors++
      this.#parts = []
      return undefined
    }
    if (bytes > bufferBytes) throw new Error(`${bytes} bytes do not fit in buffer ${id}.`)
    const split = (lengths & 0x800) !== 0 ? lengths & 0x3ff : 0
    if (split > headerBytes) throw new Error(`${split} bytes do not fit in header buffer ${id}.`)
    this.#parts.push({
      headers: this.#ram.memory(this.#headers + id * headerBytes, split).slice(),
      payload: this.#ram.memory(this.#pages + id * bufferBytes, bytes).slice(),
    })
    if ((status & 2) === 0) return undefined
    const parts = this.#parts
    this.#parts = []
    const isProcessed = (status & 8) !== 0
    const wrong = status & 0x30
    return {
      queue: this.options.queue,
      headers: concat(parts.map((part) => part.headers)),
      payload: concat(parts.map((part) => part.payload)),
      buffers: parts.length,
      packetType: view.getUint16(at + 2, true) & 0x3ff,
      verified: isProcessed && wrong === 0,
      ipError: (wrong & 0x10) !== 0,
      l4Error: (wrong & 0x20) !== 0,
      headerOverflow: (status & 4) !== 0,
      segmentBytes: (lengths & 0x400) !== 0 ? view.getUint16(at + 14, true) : 0,
      hash: view.getUint32(at + 16, true),
    }
  }
}

/** Writes a 64-bit little-endian number. */
export function setAddressLe(view: DataView, at: number, address: number): void {
  view.setUint32(at, address % 2 ** 32, true)
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true)
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
