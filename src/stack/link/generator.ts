/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A link on which TCP flows arrive as fast as they are taken, for benchmarks. All frames are
 * prepared when it is made. For each frame handed out, a sequence number and a checksum are
 * written, and nothing is allocated.
 *
 * It is no TCP: it does not read transmitted frames and does not wait for them.
 */

import { ArgumentTypeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import { setInt32, setUint16 } from '../../wire/bytes.ts'
import { foldSum } from '../../wire/checksum.ts'
import { createFrameMemory, type FrameMemory } from '../../wire/frame-memory.ts'
import { ACK, FIN, SYN, TCP_CHECKSUM, TCP_SEQ } from '../../wire/tcp.ts'
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
  readonly mss?: number
  /** Bytes of payload of each flow, 1 or more. Endless by default. */
  readonly totalBytes?: number
  /**
   * Frames of each flow that are prepared, 1 to 4096. 64 by default. The payload repeats after
   * them.
   */
  readonly framesPerFlow?: number
  /** Frames of a flow in a row, before the next flow's turn: 1 to 65,536. 16 by default. */
  readonly burstFrames?: number
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
  mss: true,
  totalBytes: true,
  framesPerFlow: true,
  burstFrames: true,
  checksum: true,
  ipVersion: true,
  handshake: true,
  sourcePort: true,
  destinationPort: true,
  seed: true,
  rateBitsPerS: true,
}

// Stages of a flow, by the frames that it has yet to send.
const OPENING = 0
const DATA = 1
const CLOSING = 2
const DONE = 3

/**
 * Makes a link on which flows from 10.0.0.1 to 10.0.0.2, or fd00::1 to fd00::2, arrive.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE
 */
export function createGenerator(options: GeneratorOptions = {}): TcpGenerator {
  return new TcpGenerator(ownOptions('createGenerator()', options, NAMES))
}

/** Made by {@link createGenerator}. */
export class TcpGenerator implements Link {
  readonly features: LinkFeatures = ORDINARY_FRAMES
  readonly flows: number
  readonly mss: number
  /** Bytes after which each flow's payload repeats. */
  readonly periodBytes: number
  readonly seed: number
  /** Frames and payload bytes handed out, of all flows. */
  frames = 0
  payloadBytes = 0
  /** Frames that were transmitted to it, and dropped. */
  transmitted = 0
  readonly #memory: FrameMemory
  readonly #frame: LinkFrame
  readonly #l4Offset: number
  readonly #headerLength: number
  readonly #totalBytes: number
  readonly #burstFrames: number
  readonly #rateBitsPerS: number
  readonly #handshake: boolean
  /** Frames prepared for each flow: its data in order, the short one at the end, SYN, FIN. */
  readonly #slots: number
  readonly #framesPerFlow: number
  readonly #offsets: Int32Array
  readonly #payloads: Int32Array
  /** Sum over each segment without sequence number and checksum. */
  readonly #sums: Int32Array
  readonly #firstSeq: Float64Array
  readonly #sentBytes: Float64Array
  readonly #nextSlot: Int32Array
  readonly #stages: Uint8Array
  #flow = 0
  #burst = 0
  #active: number
  #nextNs = 0

  /** @internal */
  constructor(options: GeneratorOptions) {
    this.flows = checkInteger('flows', options.flows ?? 1, 1, 1024)
    this.mss = checkInteger('mss', options.mss ?? 1448, 1, 65_000)
    const total = options.totalBytes ?? Number.POSITIVE_INFINITY
    this.#totalBytes =
      total === Number.POSITIVE_INFINITY
        ? total
        : checkInteger('totalBytes', total, 1, Number.MAX_SAFE_INTEGER)
    const framesPerFlow = checkInteger('framesPerFlow', options.framesPerFlow ?? 64, 1, 4096)
    this.#framesPerFlow = framesPerFlow
    this.#burstFrames = checkInteger('burstFrames', options.burstFrames ?? 16, 1, 65_536)
    this.seed = checkInteger('seed', options.seed ?? 1, 0, 2 ** 32 - 1)
    this.#rateBitsPerS = checkRate(options.rateBitsPerS)
    this.#handshake = options.handshake ?? false
    const checksum = checkChecksum(options.checksum ?? 'complete')
    const ipVersion = checkIpVersion(options.ipVersion ?? 4)
    const { flows, mss } = this
    const sourcePort = checkInteger('sourcePort', options.sourcePort ?? 40_000, 1, 65_536 - flows)
    const destinationPort = checkInteger(
      'destinationPort',
      options.destinationPort ?? 5001,
      1,
      65_535,
    )

    this.periodBytes = framesPerFlow * mss
    this.#l4Offset = 14 + (ipVersion === 4 ? 20 : 40)
    this.#headerLength = HEADER_OF[ipVersion]
    this.#slots = framesPerFlow + 3
    const stride = frameBytes(ipVersion, mss)
    this.#memory = createFrameMemory(flows * this.#slots * stride)
    this.#frame = emptyFrame(this.#memory)
    this.#frame.checksum = checksum
    this.#offsets = new Int32Array(flows * this.#slots)
    this.#payloads = new Int32Array(flows * this.#slots)
    this.#sums = new Int32Array(flows * this.#slots)
    this.#firstSeq = new Float64Array(flows)
    this.#sentBytes = new Float64Array(flows)
    this.#nextSlot = new Int32Array(flows)
    this.#stages = new Uint8Array(flows).fill(this.#handshake ? OPENING : DATA)
    this.#active = flows
    const none = new Uint8Array(0)
    for (let flow = 0; flow < flows; flow++) {
      const pattern = streamPattern(this.seed, flow, this.periodBytes)
      // Random first sequence numbers: some of them wrap soon.
      this.#firstSeq[flow] = new DataView(streamPattern(this.seed, flow, 4).buffer).getUint32(0)
      const ports = { sourcePort: sourcePort + flow, destinationPort }
      for (let slot = 0; slot < this.#slots; slot++) {
        const at = flow * this.#slots + slot
        const isData = slot <= framesPerFlow
        const payload = isData ? this.#payloadOf(slot, pattern) : none
        const flags = isData ? ACK : slot === framesPerFlow + 1 ? SYN : FIN | ACK
        const offset = at * stride
        this.#offsets[at] = offset
        this.#payloads[at] = payload.length
        const segment = { ...ports, flags, payload, checksum }
        this.#sums[at] = prepareFrame(this.#memory, offset, ipVersion, segment)
      }
    }
  }

  receive(nowNs: number): LinkFrame | undefined {
    if (nowNs < this.#nextNs || this.#active === 0) return undefined
    const flow = this.#turn()
    const stage = this.#stages[flow] ?? DONE
    const slot = this.#slotOf(flow, stage)
    const at = flow * this.#slots + slot
    const sent = this.#sentBytes[flow] ?? 0
    const payload = this.#payloads[at] ?? 0
    const offset = this.#offsets[at] ?? 0
    // A SYN takes the sequence number before the first byte's number.
    const seq = (this.#firstSeq[flow] ?? 0) + (stage === OPENING ? -1 : sent)
    // A 32-bit integer, which the engine passes without allocating a number.
    this.#writeSeq(offset + this.#l4Offset, seq | 0, this.#sums[at] ?? 0)

    this.#sentBytes[flow] = sent + payload
    this.frames++
    this.payloadBytes += payload
    if (stage !== DATA || sent + payload === this.#totalBytes) this.#advance(flow, stage)
    const frame = this.#frame
    frame.offset = offset
    frame.length = this.#headerLength + payload
    frame.originalLength = frame.length
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

  transmit(_frame: LinkFrame, _nowNs: number): void {
    this.transmitted++
  }

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
    if (this.#burst >= this.#burstFrames || this.#stages[flow] === DONE) {
      this.#burst = 0
      do flow = flow + 1 === this.flows ? 0 : flow + 1
      while (this.#stages[flow] === DONE)
      this.#flow = flow
    }
    this.#burst++
    return flow
  }

  #slotOf(flow: number, stage: number): number {
    if (stage === OPENING) return this.#framesPerFlow + 1
    if (stage === CLOSING) return this.#framesPerFlow + 2
    if (this.#totalBytes - (this.#sentBytes[flow] ?? 0) < this.mss) return this.#framesPerFlow
    const slot = this.#nextSlot[flow] ?? 0
    this.#nextSlot[flow] = slot + 1 === this.#framesPerFlow ? 0 : slot + 1
    return slot
  }

  /** Moves a flow to its next stage. */
  #advance(flow: number, stage: number): void {
    if (stage === OPENING) this.#stages[flow] = DATA
    else if (stage === DATA && this.#handshake) this.#stages[flow] = CLOSING
    else {
      this.#stages[flow] = DONE
      this.#active--
    }
  }

  /** Returns the payload of a data slot. The slot behind them holds the rest of a bounded flow. */
  #payloadOf(slot: number, pattern: Uint8Array): Uint8Array {
    if (slot < this.#framesPerFlow) return pattern.subarray(slot * this.mss, (slot + 1) * this.mss)
    if (this.#totalBytes === Number.POSITIVE_INFINITY) return pattern.subarray(0, 0)
    const rest = this.#totalBytes % this.mss
    const from = (this.#totalBytes - rest) % this.periodBytes
    return pattern.subarray(from, from + rest)
  }
}

function checkChecksum(checksum: unknown): LinkFrame['checksum'] {
  if (checksum === 'complete' || checksum === 'partial') return checksum
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `checksum must be 'complete' or 'partial', not ${String(checksum)}.`,
  )
}

function checkIpVersion(ipVersion: unknown): 4 | 6 {
  if (ipVersion === 4 || ipVersion === 6) return ipVersion
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `ipVersion must be 4 or 6, not ${String(ipVersion)}.`,
  )
}
