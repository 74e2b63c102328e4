/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A capture file as a link. Its frames arrive at their captured times, or as fast as they are
 * taken.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { checkOneOf, ownOptions } from '../../../errors.ts'
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
import { CUT_OFF, type PacketReader } from './packet-reader.ts'
import { PCAP_FORMATS, PcapReader } from './pcap-reader.ts'
import { SECTION_HEADER } from './pcapng-blocks.ts'
import { PcapngReader } from './pcapng-reader.ts'

/** Bytes of memory that a file is read through, which stay in a processor's cache. */
const WINDOW_BYTES = 2 ** 21

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
 * @throws NETMEM_INVALID_ARGUMENT, and the system's own error if the file cannot be opened or read.
 */
export function createCaptureLink(path: string, options: CaptureOptions = {}): CaptureLink {
  const names = { timing: true, partialChecksums: true } as const
  const { timing = 'none', partialChecksums = 'detect' } = ownOptions(
    'createCaptureLink()',
    options,
    names,
  )
  checkOneOf('timing', timing, ['none', 'kept'])
  checkOneOf('partialChecksums', partialChecksums, ['detect', 'never'])
  const memory = createFrameMemory(WINDOW_BYTES)
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
  return new CaptureLink(source, timing === 'kept', partialChecksums === 'detect', memory)
}

/** Made by {@link createCaptureLink}. Frames that are transmitted to it are dropped: a capture is read only. */
export class CaptureLink implements Link {
  readonly features: LinkFeatures = ORDINARY_FRAMES
  /** True if the file ended within a record. Known at the end. */
  truncated = false
  readonly #window: CaptureWindow
  readonly #reader: PacketReader
  readonly #keepTiming: boolean
  readonly #detectPartial: boolean
  readonly #layout = new FrameLayout()
  /** The frame handed out last, and the next one, if `#state` says so. */
  #frame: LinkFrame
  #next: LinkFrame
  #state: 'next' | 'broken' | 'ended' = 'ended'
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
    this.#frame = emptyFrame(memory)
    this.#next = emptyFrame(memory)
    this.#window = new CaptureWindow(source, memory)
    try {
      this.#reader = makeReader(this.#window)
      this.#look()
      if (this.#state === 'broken') throw this.#error
    } catch (error) {
      source.close()
      throw error
    }
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
    if (this.#state === 'broken') {
      this.#state = 'ended'
      throw this.#error
    }
    if (this.#state === 'ended' || this.#timeNs > nowNs) return undefined
    const frame = this.#next
    this.#next = this.#frame
    this.#frame = frame
    frame.timeNs = this.#keepTiming ? this.#timeNs : nowNs
    this.#examine(frame)
    // The frame stays in place while the one behind it is read.
    this.#window.keep()
    this.#look()
    return frame
  }

  nextAtNs(): number {
    return this.#state === 'ended' ? Number.POSITIVE_INFINITY : this.#timeNs
  }

  get ended(): boolean {
    return this.#state === 'ended'
  }

  transmit(_frame: LinkFrame, _nowNs: number): void {}

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
      this.truncated = error === CUT_OFF
      this.#state = this.truncated ? 'ended' : 'broken'
      this.#error = error
    }
    if (this.#state === 'ended' && this.#reader.refusal !== undefined) {
      this.#state = 'broken'
      this.#error = this.#reader.refusal
    }
    // A frame stamped earlier than the one before it gets the time of that one.
    if (this.#keepTiming) this.#timeNs = Math.max(this.#timeNs, this.#next.timeNs)
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
}

function makeReader(window: CaptureWindow): PacketReader {
  const magic = window.has(4) ? window.u32(0) : 0
  const format = PCAP_FORMATS.get(magic)
  if (format !== undefined) return new PcapReader(window, format)
  if (magic === SECTION_HEADER) return new PcapngReader(window)
  throw captureError(
    0,
    'neither pcap nor pcapng begins like this. Unpack it if it is compressed, or convert it with editcap.',
  )
}
