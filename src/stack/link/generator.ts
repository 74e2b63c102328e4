/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A link on which TCP flows arrive as fast as they are taken, for benchmarks. All frames are
 * prepared when it is made. For each frame handed out, a sequence number and a checksum are
 * written, and nothing is allocated.
 *
 * It is no TCP: it does not read transmitted frames and does not wait for them.
 */

import { checkInteger, checkOneOf, type OptionNames, ownOptions } from '../../errors.ts'
import { getInt32, setInt32, setUint16 } from '../../wire/bytes.ts'
import { foldSum } from '../../wire/checksum.ts'
import { createFrameMemory, type FrameMemory } from '../../wire/frame-memory.ts'
import { ACK, FIN, SYN, TCP_CHECKSUM, TCP_HEADER_BYTES, TCP_SEQ } from '../../wire/tcp.ts'
import { frameBytes, HEADER_OF, prepareFrame, streamPattern } from './generator-frames.ts'
import {
  emptyFrame,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  ORDINARY_FRAMES,
} from './link.ts'
import { checkRate, serialisationNs } from './rate.ts'

/** Options of {@link createGenerator}. */
export interface GeneratorOptions {
  /** Number of flows, 1 to 1024. 1 by default. Flow `n` comes from `sourcePort + n`. */
  readonly flows?: number
  /** Bytes of payload of each frame, 1 to 65,000. 1448 by default. */
  readonly mssBytes?: number
  /** Bytes of payload of each flow, 1 or more. Endless by default. */
  readonly totalBytes?: number
  /**
   * Frames of each flow that are prepared, 1 to 4096. 64 by default. The payload repeats after
   * them.
   */
  readonly framesPerFlow?: number
  /**
   * Checksums of the frames. `complete` by default. An offloading host hands `partial` ones to its
   * hardware.
   */
  readonly checksum?: 'complete' | 'partial'
  /** IP version. 4 by default. */
  readonly ipVersion?: 4 | 6
  /** True if each flow begins with a SYN, and a bounded one ends with a FIN. False by default. */
  readonly handshake?: boolean
  /** Source port of the first flow. 40,000 by default. */
  readonly sourcePort?: number
  /** Destination port. 5001 by default. */
  readonly destinationPort?: number
  /** Seed of payload and first sequence numbers: 0 to 2^32 − 1. 1 by default. */
  readonly seed?: number
  /** Bits per second of all flows together. Unlimited by default: a frame is always due then. */
  readonly rateBitsPerS?: number
}

const NAMES: OptionNames<GeneratorOptions> = {
  flows: true,
  mssBytes: true,
  totalBytes: true,
  framesPerFlow: true,
  checksum: true,
  ipVersion: true,
  handshake: true,
  sourcePort: true,
  destinationPort: true,
  seed: true,
  rateBitsPerS: true,
}

/** Frames of a flow in a row, before the next flow's turn. */
const BURST_FRAMES = 16

/**
 * Makes a link on which flows from 10.0.0.1 to 10.0.0.2, or fd00::1 to fd00::2, arrive.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE
 */
export function createGenerator(options: GeneratorOptions = {}): TcpGenerator {
  return new TcpGenerator(ownOptions('createGenerator()', options, NAMES))
}

/** Made by {@link createGenerator}. Frames that are transmitted to it are dropped. */
export class TcpGenerator implements Link {
  readonly features: LinkFeatures = ORDINARY_FRAMES
  readonly #memory: FrameMemory
  readonly #frame: LinkFrame
  readonly #headerLength: number
  readonly #mssBytes: number
  readonly #totalBytes: number
  readonly #rateBitsPerS: number
  /** Frames prepared for each flow: its data in order, the short one at the end, SYN, FIN. */
  readonly #slots: number
  readonly #framesPerFlow: number
  /** Bytes from one prepared frame to the next. */
  readonly #stride: number
  /** Sum over each segment without sequence number and checksum. */
  readonly #sums: Int32Array
  /** Sequence number of each flow's first byte. */
  readonly #firstSeq: Int32Array
  /** Sequence number of each flow's next frame, from the first byte's on: −1 before its SYN. */
  readonly #positions: Float64Array
  /** Position of a flow that is done. */
  readonly #endPosition: number
  readonly #nextSlot: Int32Array
  #flow = 0
  #burst = 0
  #active: number
  #nextNs = 0

  /** @internal */
  constructor(options: GeneratorOptions) {
    const flows = checkInteger('flows', options.flows ?? 1, 1, 1024)
    const mssBytes = checkInteger('mssBytes', options.mssBytes ?? 1448, 1, 65_000)
    const total = options.totalBytes ?? Number.POSITIVE_INFINITY
    this.#totalBytes =
      total === Number.POSITIVE_INFINITY
        ? total
        : checkInteger('totalBytes', total, 1, Number.MAX_SAFE_INTEGER - 1)
    const framesPerFlow = checkInteger('framesPerFlow', options.framesPerFlow ?? 64, 1, 4096)
    const seed = checkInteger('seed', options.seed ?? 1, 0, 2 ** 32 - 1)
    this.#rateBitsPerS = checkRate(options.rateBitsPerS)
    const { handshake = false } = options
    const checksum = checkOneOf('checksum', options.checksum ?? 'complete', ['complete', 'partial'])
    const ipVersion = checkOneOf('ipVersion', options.ipVersion ?? 4, [4, 6])
    const sourcePort = checkInteger('sourcePort', options.sourcePort ?? 40_000, 1, 65_536 - flows)
    const destinationPort = checkInteger(
      'destinationPort',
      options.destinationPort ?? 5001,
      1,
      65_535,
    )

    this.#mssBytes = mssBytes
    this.#framesPerFlow = framesPerFlow
    this.#headerLength = HEADER_OF[ipVersion]
    this.#slots = framesPerFlow + 3
    this.#stride = frameBytes(ipVersion, mssBytes)
    this.#memory = createFrameMemory(flows * this.#slots * this.#stride)
    this.#frame = emptyFrame(this.#memory)
    this.#frame.checksum = checksum
    this.#sums = new Int32Array(flows * this.#slots)
    this.#firstSeq = new Int32Array(flows)
    // SYN and FIN take a sequence number each.
    this.#positions = new Float64Array(flows).fill(handshake ? -1 : 0)
    this.#endPosition = this.#totalBytes + (handshake ? 1 : 0)
    this.#nextSlot = new Int32Array(flows)
    this.#active = flows
    const none = new Uint8Array(0)
    for (let flow = 0; flow < flows; flow++) {
      const pattern = streamPattern(seed, flow, framesPerFlow * mssBytes)
      // Random first sequence numbers: some of them wrap soon.
      this.#firstSeq[flow] = getInt32(streamPattern(seed, flow, 4), 0)
      const ports = { sourcePort: sourcePort + flow, destinationPort }
      for (let slot = 0; slot < this.#slots; slot++) {
        const at = flow * this.#slots + slot
        const isData = slot <= framesPerFlow
        const payload = isData ? this.#payloadOf(slot, pattern) : none
        const flags = isData ? ACK : slot === framesPerFlow + 1 ? SYN : FIN | ACK
        const segment = { ...ports, flags, payload, checksum }
        this.#sums[at] = prepareFrame(this.#memory, at * this.#stride, ipVersion, segment)
      }
    }
  }

  receive(nowNs: number): LinkFrame | undefined {
    if (nowNs < this.#nextNs || this.#active === 0) return undefined
    const flow = this.#turn()
    const position = this.#positions[flow] ?? 0
    // An integer, as is the sequence number: the engine allocates other numbers.
    const payload = position < 0 ? 0 : Math.min(this.#mssBytes, this.#totalBytes - position) | 0
    const at = flow * this.#slots + this.#slotOf(flow, position, payload)
    const offset = at * this.#stride
    const frame = this.#frame
    frame.offset = offset
    frame.length = this.#headerLength + payload
    frame.originalLength = frame.length
    this.#writeSeq(
      offset + this.#headerLength - TCP_HEADER_BYTES,
      ((this.#firstSeq[flow] ?? 0) + position) | 0,
      this.#sums[at] ?? 0,
    )
    const next = position + (payload === 0 ? 1 : payload)
    this.#positions[flow] = next
    if (next === this.#endPosition) this.#active--
    if (this.#rateBitsPerS === Number.POSITIVE_INFINITY) frame.timeNs = nowNs
    else {
      frame.timeNs = this.#nextNs
      this.#nextNs += serialisationNs(frame.length, this.#rateBitsPerS)
    }
    return frame
  }

  nextAtNs(): number {
    return this.#active === 0 ? Number.POSITIVE_INFINITY : this.#nextNs
  }

  get ended(): boolean {
    return this.#active === 0
  }

  transmit(_frame: LinkFrame, _nowNs: number): void {}

  close(): void {
    this.#active = 0
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Writes the sequence number, and completes the checksum: of the summed bytes only the sequence
   * number changes (RFC 1624).
   */
  #writeSeq(at: number, seq: number, sum: number): void {
    const { bytes } = this.#memory
    setInt32(bytes, at + TCP_SEQ, seq)
    if (this.#frame.checksum === 'partial') return
    setUint16(bytes, at + TCP_CHECKSUM, ~foldSum(sum + (seq >>> 16) + (seq & 0xffff)))
  }

  /** Returns the flow whose turn it is, of those that are not done. */
  #turn(): number {
    let flow = this.#flow
    if (this.#burst >= BURST_FRAMES || this.#positions[flow] === this.#endPosition) {
      this.#burst = 0
      do flow = flow + 1 === this.#positions.length ? 0 : flow + 1
      while (this.#positions[flow] === this.#endPosition)
      this.#flow = flow
    }
    this.#burst++
    return flow
  }

  /** Returns the slot of a flow's next frame. */
  #slotOf(flow: number, position: number, payload: number): number {
    const framesPerFlow = this.#framesPerFlow
    if (position < 0) return framesPerFlow + 1
    if (payload === 0) return framesPerFlow + 2
    if (payload < this.#mssBytes) return framesPerFlow
    const slot = this.#nextSlot[flow] ?? 0
    this.#nextSlot[flow] = slot + 1 === framesPerFlow ? 0 : slot + 1
    return slot
  }

  /** Returns the payload of a data slot. The slot behind them holds the rest of a bounded flow. */
  #payloadOf(slot: number, pattern: Uint8Array): Uint8Array {
    const mssBytes = this.#mssBytes
    if (slot < this.#framesPerFlow) return pattern.subarray(slot * mssBytes, (slot + 1) * mssBytes)
    if (this.#totalBytes === Number.POSITIVE_INFINITY) return pattern.subarray(0, 0)
    const rest = this.#totalBytes % mssBytes
    const from = (this.#totalBytes - rest) % pattern.length
    return pattern.subarray(from, from + rest)
  }
}
