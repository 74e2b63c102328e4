/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A capture file as a link. Its frames arrive at their captured times, or as fast as they are
 * taken.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { ArgumentTypeError, checkInteger, ownOptions } from '../../../errors.ts'
import { hasPartialChecksum } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseCutFrame, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory, type FrameMemory } from '../../../wire/frame-memory.ts'
import { DeviceError } from '../../device-error.ts'
import {
  emptyFrame,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  ORDINARY_FRAMES,
} from '../link.ts'
import { captureError } from './capture-error.ts'
import { type CaptureSource, CaptureWindow } from './capture-window.ts'
import { CapturedPacket, type PacketReader, read32 } from './packet-reader.ts'
import { isPcap, PcapReader } from './pcap-reader.ts'
import { SECTION_HEADER } from './pcapng-blocks.ts'
import { PcapngReader } from './pcapng-reader.ts'

/** Options of {@link createCaptureLink}. */
export interface CaptureOptions {
  /**
   * `kept`: frames arrive at their captured times, the first one at 0. `none`, the default: each
   * frame is there as soon as it is asked for.
   */
  readonly timing?: 'kept' | 'none'
  /**
   * `detect`, the default, marks frames with partial checksums. `never` takes all checksums as
   * complete.
   */
  readonly partialChecksums?: 'detect' | 'never'
  /**
   * Bytes of memory that the file is read through, 1 MiB to 1 GiB. 2 MiB by default, which stay in
   * a processor's cache.
   */
  readonly windowBytes?: number
}

/**
 * Opens a pcap or pcapng file of Ethernet frames of up to 256 KiB each. Close the link when done.
 *
 * A file that ends within a record ends there, and sets {@link CaptureLink.truncated}. Packets of
 * pcapng interfaces with another link type are skipped, and counted in {@link
 * CaptureLink.otherLinkPackets}.
 *
 * @throws NETMEM_CAPTURE_INVALID for a folder, for a file that is no capture, and for a capture
 * without an Ethernet interface. `receive` throws it for faults further on.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, and the system's own error if the file
 * cannot be opened or read.
 */
export function createCaptureLink(path: string, options: CaptureOptions = {}): CaptureLink {
  const names = { timing: true, partialChecksums: true, windowBytes: true } as const
  const own = ownOptions('createCaptureLink()', options, names)
  const timing = oneOf('timing', own.timing, ['none', 'kept'])
  const detect = oneOf('partialChecksums', own.partialChecksums, ['detect', 'never'])
  const windowBytes = checkInteger('windowBytes', own.windowBytes ?? 2 ** 21, 2 ** 20, 2 ** 30)
  const memory = createFrameMemory(windowBytes)
  const file = openSync(path, 'r')
  if (fstatSync(file).isDirectory()) {
    closeSync(file)
    const message = `${path} is a folder, not a capture. Name a pcap or pcapng file.`
    throw new DeviceError('NETMEM_CAPTURE_INVALID', 'EISDIR', message)
  }
  const source: CaptureSource = {
    read: (into, offset, length) => readSync(file, into, offset, length, null),
    close: () => closeSync(file),
  }
  return new CaptureLink(source, timing === 'kept', detect === 'detect', memory)
}

/** Made by {@link createCaptureLink}. */
export class CaptureLink implements Link {
  readonly features: LinkFeatures = ORDINARY_FRAMES
  /** Frames handed out, their bytes, and the number of cut frames among them. */
  frames = 0
  bytes = 0
  cutFrames = 0
  /** Frames stamped earlier than the frame before them, whose time they get. */
  disordered = 0
  /** Frames that were transmitted to it, and dropped: a capture is read only. */
  transmitted = 0
  readonly #window: CaptureWindow
  readonly #reader: PacketReader
  readonly #keepTiming: boolean
  readonly #detectPartial: boolean
  readonly #frame: LinkFrame
  readonly #layout = new FrameLayout()
  /** The next packet, once it is known. */
  readonly #next = new CapturedPacket()
  #state: 'unknown' | 'next' | 'broken' | 'ended' = 'unknown'
  #error: unknown
  #timeNs = 0
  #closed = false

  /** @internal */
  constructor(
    source: CaptureSource,
    keepTiming: boolean,
    detectPartial: boolean,
    memory: FrameMemory,
  ) {
    this.#keepTiming = keepTiming
    this.#detectPartial = detectPartial
    try {
      this.#window = new CaptureWindow(source, memory)
      this.#frame = emptyFrame(memory)
      this.#reader = makeReader(this.#window)
      this.#look()
      if (this.#state === 'broken') throw this.#error
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** True if the file ended within a record. Known at the end. */
  get truncated(): boolean {
    return this.#reader.truncated
  }

  /** Blocks of a pcapng file other than packets, sections and interfaces. */
  get skippedBlocks(): number {
    return this.#reader.skippedBlocks
  }

  /** Packets skipped because their interface is not Ethernet. Complete at the end. */
  get otherLinkPackets(): number {
    return this.#reader.otherLinkPackets
  }

  /**
   * Returns the next frame, as every link does.
   *
   * @throws NETMEM_CAPTURE_INVALID, once, at a fault in the file.
   */
  receive(nowNs: number): LinkFrame | undefined {
    if (this.#state === 'unknown') this.#look()
    if (this.#state !== 'next') return this.#stop()
    const next = this.#next
    const frame = this.#frame
    if (this.#keepTiming) {
      if (this.#timeNs > nowNs) return undefined
      frame.timeNs = this.#timeNs
    } else frame.timeNs = nowNs
    frame.offset = next.offset
    frame.length = next.length
    frame.originalLength = next.originalLength
    this.#examine(frame)
    this.frames++
    this.bytes += next.length
    if (next.length < frame.originalLength) this.cutFrames++
    // The frame stays in place while the one behind it is read.
    this.#window.keep()
    this.#state = 'unknown'
    return frame
  }

  nextAtNs(): number {
    if (this.#state === 'unknown') this.#look()
    if (this.#state === 'ended') return Number.POSITIVE_INFINITY
    return this.#timeNs
  }

  get ended(): boolean {
    if (this.#state === 'unknown') this.#look()
    return this.#state === 'ended'
  }

  transmit(_frame: LinkFrame, _nowNs: number): void {
    this.transmitted++
  }

  close(): void {
    this.#state = 'ended'
    if (this.#closed) return
    this.#closed = true
    this.#window.close()
  }

  /** Closes the link, as {@link close}. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** Finds the next packet. A fault in it is thrown where the packet would have been received. */
  #look(): void {
    try {
      this.#state = this.#reader.next(this.#next) ? 'next' : 'ended'
    } catch (error) {
      this.#state = 'broken'
      this.#error = error
      return
    }
    if (this.#state === 'ended' || !this.#keepTiming) return
    if (this.#next.timeNs < this.#timeNs) this.disordered++
    else this.#timeNs = this.#next.timeNs
  }

  /**
   * Examines a frame for facts that the file does not state: that it was cut, and that its checksum
   * is partial.
   */
  #examine(frame: LinkFrame): void {
    const { bytes } = this.#window
    const { offset, length } = frame
    const layout = parseFrame(bytes, offset, length, this.#layout, frame.originalLength)
    frame.layout = layout
    if (layout.kind === FrameKind.malformed) {
      frame.layout = undefined
      const { headerLength, payloadLength } = parseCutFrame(bytes, offset, length, layout)
      frame.originalLength = Math.max(frame.originalLength, headerLength + payloadLength)
    }
    const isPartial = this.#detectPartial && hasPartialChecksum(bytes, offset, layout)
    frame.checksum = isPartial ? 'partial' : 'complete'
  }

  #stop(): undefined {
    if (this.#state === 'broken') {
      this.#state = 'ended'
      throw this.#error
    }
    return undefined
  }
}

function makeReader(window: CaptureWindow): PacketReader {
  const magic = window.has(4) ? read32(window.bytes, window.at, false) : 0
  if (isPcap(magic)) return new PcapReader(window)
  if (magic === SECTION_HEADER) return new PcapngReader(window)
  throw captureError(
    0,
    'neither pcap nor pcapng begins like this. Unpack it if it is compressed, or convert it with editcap.',
  )
}

function oneOf<T extends string>(name: string, value: T | undefined, among: readonly [T, T]): T {
  if (value === undefined) return among[0]
  if (among.includes(value)) return value
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `${name} must be '${among.join("' or '")}', not ${String(value)}.`,
  )
}
