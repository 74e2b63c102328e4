/** A capture file as a link: its frames arrive as they were captured, or as fast as they are taken. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { ArgumentTypeError, checkInteger } from '../../../errors.ts'
import { hasPartialChecksum } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseCutFrame, parseFrame } from '../../../wire/frame-layout.ts'
import { type FrameMemory, makeFrameMemory } from '../../../wire/frame-memory.ts'
import { DeviceError } from '../../device-error.ts'
import { emptyFrame, type Link, type LinkFrame } from '../link.ts'
import { captureError } from './capture-error.ts'
import { type CaptureSource, CaptureWindow } from './capture-window.ts'
import { CapturedPacket, type PacketReader, read32 } from './packet-reader.ts'
import { isPcap, PcapReader } from './pcap-reader.ts'
import { SECTION_HEADER } from './pcapng-blocks.ts'
import { PcapngReader } from './pcapng-reader.ts'

/** Options of {@link openCapture}. */
export interface CaptureOptions {
  /** `kept`: frames arrive when they did, from the first one at 0 on. `none`, the default: each is there as soon as it is asked for. */
  readonly timing?: 'kept' | 'none'
  /** `detect`, the default, marks frames by {@link hasPartialChecksum}; `never` takes all checksums as complete. */
  readonly partialChecksums?: 'detect' | 'never'
  /** Memory that the file is read through, 1 MiB to 1 GiB; 2 MiB by default: more does not stay in a processor's cache. */
  readonly windowBytes?: number
}

/**
 * Opens a pcap or pcapng file of Ethernet frames, of up to 256 KiB each. A file that ends within a
 * record ends there, and {@link CaptureLink.truncated} says so. Packets of pcapng interfaces with
 * another link type are skipped, and {@link CaptureLink.otherLinkPackets} counts them. Close it when
 * done.
 *
 * @throws NETMEM_CAPTURE_INVALID for a folder, for a file that is no capture, and for a capture
 * without any Ethernet interface; `receive` throws it where the fault comes later. The system's own
 * error when the file cannot be opened or read. NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE
 */
export function openCapture(path: string, options: CaptureOptions = {}): CaptureLink {
  const timing = oneOf('timing', options.timing, ['none', 'kept'])
  const detect = oneOf('partialChecksums', options.partialChecksums, ['detect', 'never'])
  const windowBytes = checkInteger('windowBytes', options.windowBytes ?? 2 ** 21, 2 ** 20, 2 ** 30)
  const memory = makeFrameMemory(windowBytes)
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

/** Made by {@link openCapture}. */
export class CaptureLink implements Link {
  /** Frames handed out, their bytes, and how many of them had been cut. */
  frames = 0
  bytes = 0
  cutFrames = 0
  /** Frames stamped earlier than the one before them; they count as from the same time. */
  disordered = 0
  /** Frames transmitted to it, and forgotten: a capture is read only. */
  transmitted = 0
  readonly #window: CaptureWindow
  readonly #reader: PacketReader
  readonly #keepTiming: boolean
  readonly #detectPartial: boolean
  readonly #frame: LinkFrame
  readonly #layout = new FrameLayout()
  /** The packet that comes next, when it is known. */
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

  /** Whether the file ended within a record; known at the end. */
  get truncated(): boolean {
    return this.#reader.truncated
  }

  /** Blocks of a pcapng file that were neither packets nor descriptions of sections or interfaces. */
  get skippedBlocks(): number {
    return this.#reader.skippedBlocks
  }

  /** Packets of interfaces that are not Ethernet, which were skipped; complete at the end. */
  get otherLinkPackets(): number {
    return this.#reader.otherLinkPackets
  }

  /** As every link; and throws NETMEM_CAPTURE_INVALID, once, at what is wrong in the file. */
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
    // This one stays where it is while the one behind it is looked for.
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

  /** Finds the next packet. What is wrong with it is thrown where it would have been received. */
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

  /** Finds out what the file does not say: a frame that was cut, and a partial checksum. */
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
