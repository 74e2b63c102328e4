/// <reference lib="esnext.disposable" preserve="true" />
/** Writes pcapng files (draft-ietf-opsawg-pcapng): one Ethernet interface with times in ns, and what a NIC says of each packet. */

import { closeSync, openSync, writeSync } from 'node:fs'
import { ArgumentRangeError, LifetimeError, ownOptions } from '../../../errors.ts'
import { fillL4Checksum } from '../../../wire/frame-checksums.ts'
import { FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import type { LinkFrame } from '../link.ts'
import { LINK_TYPE_ETHERNET, MAX_CAPTURED_BYTES } from './packet-reader.ts'
import {
  BYTE_ORDER_MAGIC,
  ENHANCED_HEADER,
  ENHANCED_PACKET,
  EPB_HASH,
  EPB_QUEUE,
  HASH_TOEPLITZ,
  IF_TSRESOL,
  INTERFACE_DESCRIPTION,
  OPT_END,
  SECTION_HEADER,
} from './pcapng-blocks.ts'

/** Options of {@link createPcapngWriter}. */
export interface PcapngOptions {
  /** Time at which the link's clock was 0, in ns since 1970: 0 to 2^64 − 1. 0 by default. */
  readonly startNs?: bigint
}

/** Facts about a packet besides its frame. */
export interface PacketNotes {
  /** RX queue of the packet, 0 or more: option epb_queue. */
  readonly queue?: number
  /** RSS hash of the packet, signed or not: option epb_hash, as Toeplitz. */
  readonly hash?: number
}

/**
 * Bytes buffered for one write: many small frames, or one of the largest with its block around it.
 */
const BUFFER_BYTES = 2 * MAX_CAPTURED_BYTES
/** Bytes of a block's fields, options, padding and lengths. */
const BLOCK_ROOM = ENHANCED_HEADER + 64
const NO_NOTES: PacketNotes = {}

/** Blocks in front of the packets, in words of 32 bits without the lengths. */
const FIRST_BLOCKS: readonly (readonly number[])[] = [
  // Version 1.0, of unknown length: −1 in 64 bits.
  [SECTION_HEADER, 0, BYTE_ORDER_MAGIC, 1, 0xffff_ffff, 0xffff_ffff],
  // Times in units of 10^−9 s.
  [
    INTERFACE_DESCRIPTION,
    0,
    LINK_TYPE_ETHERNET,
    MAX_CAPTURED_BYTES,
    optionHeader(IF_TSRESOL, 1),
    9,
    OPT_END,
  ],
]

/**
 * Makes a pcapng file at `path`, and replaces an older one.
 *
 * @throws the system's own error if it cannot be made, NETMEM_INVALID_ARGUMENT,
 * NETMEM_OUT_OF_RANGE.
 */
export function createPcapngWriter(path: string, options: PcapngOptions = {}): PcapngWriter {
  const { startNs = 0n } = ownOptions('createPcapngWriter()', options, { startNs: true })
  if (startNs < 0n || startNs >= 2n ** 64n) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `startNs must be ns since 1970, 0 to 2^64 − 1, not ${startNs}.`,
    )
  }
  return new PcapngWriter(path, startNs)
}

/**
 * Writer of a pcapng file, made by {@link createPcapngWriter}. Without a close the end of the file is
 * missing.
 */
export class PcapngWriter implements Disposable {
  readonly #file: number
  readonly #memory = createFrameMemory(BUFFER_BYTES)
  readonly #buffer = this.#memory.bytes
  readonly #view = new DataView(this.#buffer.buffer)
  readonly #layout = new FrameLayout()
  readonly #startHigh: number
  readonly #startLow: number
  #at = 0
  #closed = false

  /** @internal */
  constructor(path: string, startNs: bigint) {
    this.#startHigh = Number(startNs >> 32n)
    this.#startLow = Number(startNs & 0xffff_ffffn)
    this.#file = openSync(path, 'w')
    for (const block of FIRST_BLOCKS) {
      const start = this.#at
      for (const word of block) this.#word(word)
      this.#endBlock(start)
    }
  }

  /**
   * Appends a frame. A partial checksum is completed in the file, unless payload is missing.
   *
   * @throws NETMEM_WRITER_CLOSED after a close, and the system's own error if the file cannot be
   * written.
   */
  write(frame: LinkFrame, notes: PacketNotes = NO_NOTES): void {
    if (this.#closed) {
      throw new LifetimeError(
        'NETMEM_WRITER_CLOSED',
        'This capture file is closed. Write what belongs into it before.',
      )
    }
    const length = Math.min(frame.length, MAX_CAPTURED_BYTES)
    if (this.#at + BLOCK_ROOM + length > BUFFER_BYTES) this.flush()
    const view = this.#view
    const start = this.#at
    // 64-bit times in halves, since a double has only 53 bits.
    const ns = Math.max(0, Math.round(frame.timeNs))
    const low = this.#startLow + (ns % 2 ** 32)
    const high = this.#startHigh + Math.floor(ns / 2 ** 32) + (low >= 2 ** 32 ? 1 : 0)
    view.setUint32(start, ENHANCED_PACKET, true)
    view.setUint32(start + 8, 0, true)
    view.setUint32(start + 12, high, true)
    view.setUint32(start + 16, low, true)
    view.setUint32(start + 20, length, true)
    view.setUint32(start + 24, frame.originalLength, true)
    const data = start + ENHANCED_HEADER
    this.#buffer.set(frame.memory.view(frame.offset, length), data)
    if (frame.checksum === 'partial') {
      parseFrame(this.#buffer, data, length, this.#layout, frame.originalLength)
      fillL4Checksum(this.#memory, data, this.#layout)
    }
    this.#at = data + length
    // Options begin at a multiple of 4, as all blocks do.
    while (this.#at % 4 !== 0) this.#buffer[this.#at++] = 0
    this.#writeNotes(notes)
    this.#endBlock(start)
  }

  /** Writes the buffered bytes to the file. */
  flush(): void {
    for (let from = 0; from < this.#at; ) {
      from += writeSync(this.#file, this.#buffer, from, this.#at - from)
    }
    this.#at = 0
  }

  /** Writes the buffered bytes and closes the file. A second call has no effect. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.flush()
    } finally {
      closeSync(this.#file)
    }
  }

  /** Closes the file, as {@link close}. */
  [Symbol.dispose](): void {
    this.close()
  }

  #writeNotes({ queue, hash }: PacketNotes): void {
    if (hash !== undefined) {
      this.#word(optionHeader(EPB_HASH, 5))
      this.#word(HASH_TOEPLITZ)
      this.#word(0)
      // Behind the byte of the algorithm, in the order of a network.
      this.#view.setUint32(this.#at - 7, hash)
    }
    if (queue !== undefined) {
      this.#word(optionHeader(EPB_QUEUE, 4))
      this.#word(queue)
    }
    if (hash !== undefined || queue !== undefined) this.#word(OPT_END)
  }

  #word(value: number): void {
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  /** Writes a block's length at its end and, behind its type, at its beginning. */
  #endBlock(start: number): void {
    const bytes = this.#at + 4 - start
    this.#view.setUint32(start + 4, bytes, true)
    this.#word(bytes)
  }
}

/** Returns the word in front of an option's value. */
function optionHeader(code: number, bytes: number): number {
  return code | (bytes << 16)
}
