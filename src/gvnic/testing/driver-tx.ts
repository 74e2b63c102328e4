/** Driver's end of a transmit queue: descriptors and completions, with the checks that `gve` makes. */

import { setAddressLe } from './driver-rx.ts'
import type { GuestRam } from './guest-ram.ts'

const DESCRIPTOR_BYTES = 16
const COMPLETION_BYTES = 8
const MAX_PIECE_BYTES = 0x3fff
/** Least distance of descriptors that ask for a completion of their own. */
const REPORT_EVERY = 32

/** Piece of a packet in the guest's memory. */
export interface SentPiece {
  readonly address: number
  readonly bytes: number
}

/** Offloads that a driver asks of the card for one packet. */
export interface SendOptions {
  /** The card completes the checksums. */
  readonly checksum?: boolean
  /** Payload bytes of each segment that the card makes of the packet (TSO). */
  readonly segmentBytes?: number
  /** Bytes of the headers of a packet with `segmentBytes`. */
  readonly headerBytes?: number
}

export class DriverTx {
  readonly queue: number
  readonly entries: number
  readonly descriptors: number
  readonly completions: number
  readonly resources: number
  /** Packets that the card has completed. */
  completed = 0
  /** Completions of descriptors. */
  reports = 0
  readonly #ram: GuestRam
  readonly #ring: (tail: number) => void
  readonly #pending = new Set<number>()
  #tag = 0
  #tail = 0
  #reported = 0
  #head = 0
  #generation = 1
  /** Descriptors up to here have been read by the card, as it has told. */
  #hardwareHead = 0

  constructor(ram: GuestRam, queue: number, entries: number, ring: (tail: number) => void) {
    this.#ram = ram
    this.#ring = ring
    this.queue = queue
    this.entries = entries
    this.descriptors = ram.allocate(entries * DESCRIPTOR_BYTES)
    this.completions = ram.allocate(entries * COMPLETION_BYTES)
    this.resources = ram.allocate(64)
  }

  get doorbell(): number {
    return this.#ram.view(this.resources, 4).getUint32(0)
  }

  /** Packets that are sent and not completed. */
  get pending(): number {
    return this.#pending.size
  }

  /** Posts a packet and rings. Returns its tag, or −1 if there is no room. */
  send(pieces: readonly SentPiece[], options: SendOptions = {}): number {
    const { checksum = false, segmentBytes = 0, headerBytes = 0 } = options
    const parts = pieces.flatMap(cutPiece)
    const free = (this.#hardwareHead - this.#tail - 1 + this.entries) % this.entries
    if (parts.length + 2 > free || this.#pending.size >= this.entries / 2) return -1
    const tag = this.#nextTag()
    const total = parts.reduce((sum, { bytes }) => sum + bytes, 0)
    if (segmentBytes > 0) {
      const context = this.#next()
      context.setUint32(0, total - headerBytes, true)
      context.setUint16(4, segmentBytes, true)
      context.setUint8(6, headerBytes)
      context.setUint8(8, 0x5 | 0x20)
    }
    this.#next().setUint8(8, 0x4)
    for (const [index, { address, bytes }] of parts.entries()) {
      const isLast = index === parts.length - 1
      const at = this.#tail
      const descriptor = this.#next()
      let flags = 0xc
      if (isLast) flags |= 0x20
      if (checksum) flags |= 0x40
      if (isLast && (at - this.#reported + this.entries) % this.entries >= REPORT_EVERY) {
        this.#reported = at
        flags |= 0x80
      }
      setAddressLe(descriptor, 0, address)
      descriptor.setUint8(8, flags)
      descriptor.setUint16(12, tag, true)
      descriptor.setUint16(14, bytes, true)
    }
    this.#ring(this.#tail)
    return tag
  }

  /** Reads completions. Throws where `gve` would complain. */
  poll(): void {
    for (;;) {
      const view = this.#ram.view(this.completions + this.#head * COMPLETION_BYTES, 4)
      const word = view.getUint16(0, true)
      if (word >> 15 !== this.#generation) return
      const value = view.getUint16(2, true)
      if ((word & 0x7ff) !== this.queue) throw new Error('This completion is of another queue.')
      const type = (word >> 11) & 7
      if (type === 2) {
        if (!this.#pending.delete(value)) throw new Error(`No packet ${value} is pending.`)
        this.completed++
      } else if (type === 4) {
        this.#hardwareHead = value
        this.reports++
      } else throw new Error(`There is no completion of type ${type}.`)
      this.#head = (this.#head + 1) % this.entries
      if (this.#head === 0) this.#generation ^= 1
    }
  }

  #next(): DataView {
    const view = this.#ram.view(this.descriptors + this.#tail * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES)
    for (let at = 0; at < DESCRIPTOR_BYTES; at++) view.setUint8(at, 0)
    this.#tail = (this.#tail + 1) % this.entries
    return view
  }

  #nextTag(): number {
    do this.#tag = (this.#tag + 1) % this.entries
    while (this.#pending.has(this.#tag))
    this.#pending.add(this.#tag)
    return this.#tag
  }
}

/** Cuts a piece as its descriptors' 14 bits of length want it. */
function cutPiece({ address, bytes }: SentPiece): SentPiece[] {
  const parts: SentPiece[] = []
  for (let at = 0; at < bytes; at += MAX_PIECE_BYTES) {
    parts.push({ address: address + at, bytes: Math.min(bytes - at, MAX_PIECE_BYTES) })
  }
  return parts
}
