/** Driver's end of a transmit queue: descriptors and completions, with the checks that `gve` makes. */

import { setAddressLe } from './driver-rx.test.helper.ts'
import type { GuestRam } from './guest-ram.test.helper.ts'

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
    const parts = pieces.every(fitsDescriptor) ? pieces : pieces.flatMap(cutPiece)
    const free = (this.#hardwareHead - this.#tail - 1 + this.entries) % this.entries
    if (parts.length + 2 > free || this.#pending.size >= this.entries / 2) return -1
    const tag = this.#nextTag()
    const ram = this.#ram
    if (segmentBytes > 0) {
      let total = 0
      for (const { bytes } of parts) total += bytes
      const context = this.#next()
      const at = ram.offset
      context.setUint32(at, total - headerBytes, true)
      context.setUint16(at + 4, segmentBytes, true)
      context.setUint8(at + 6, headerBytes)
      context.setUint8(at + 8, 0x5 | 0x20)
    }
    this.#next().setUint8(ram.offset + 8, 0x4)
    let left = parts.length
    for (const { address, bytes } of parts) {
      const isLast = --left === 0
      const index = this.#tail
      const descriptor = this.#next()
      const at = ram.offset
      let flags = 0xc
      if (isLast) flags |= 0x20
      if (checksum) flags |= 0x40
      if (isLast && (index - this.#reported + this.entries) % this.entries >= REPORT_EVERY) {
        this.#reported = index
        flags |= 0x80
      }
      setAddressLe(descriptor, at, address)
      descriptor.setUint8(at + 8, flags)
      descriptor.setUint16(at + 12, tag, true)
      descriptor.setUint16(at + 14, bytes, true)
    }
    this.#ring(this.#tail)
    return tag
  }

  /** Reads completions. Throws where `gve` would complain. */
  poll(): void {
    for (;;) {
      const view = this.#ram.viewAround(this.completions + this.#head * COMPLETION_BYTES, 4)
      const at = this.#ram.offset
      const word = view.getUint16(at, true)
      if (word >> 15 !== this.#generation) return
      const value = view.getUint16(at + 2, true)
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

  /** Clears the next descriptor. It lies in the view that is returned, at the offset of the memory. */
  #next(): DataView {
    const ram = this.#ram
    const address = this.descriptors + this.#tail * DESCRIPTOR_BYTES
    const view = ram.viewAround(address, DESCRIPTOR_BYTES)
    for (let at = 0; at < DESCRIPTOR_BYTES; at += 4) view.setUint32(ram.offset + at, 0)
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

function fitsDescriptor({ bytes }: SentPiece): boolean {
  return bytes > 0 && bytes <= MAX_PIECE_BYTES
}

/** Cuts a piece as its descriptors' 14 bits of length want it. */
function cutPiece({ address, bytes }: SentPiece): SentPiece[] {
  const parts: SentPiece[] = []
  for (let at = 0; at < bytes; at += MAX_PIECE_BYTES) {
    parts.push({ address: address + at, bytes: Math.min(bytes - at, MAX_PIECE_BYTES) })
  }
  return parts
}
