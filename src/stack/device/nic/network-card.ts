/**
 * A network card. It takes frames from a link, steers each to a queue, and splits headers from
 * payload. It writes both by DMA to where the queue's driver wants them. In the other direction it
 * gathers packets from memory and sends them.
 *
 * It knows DMA addresses and ring ends. It does not know drivers, pools and pages. The path of a frame:
 * `receive` → `#classify` (parse, verify, hash, steer) → `RxQueue.deliver`.
 */

import { checkInteger } from '../../../errors.ts'
import { ChecksumResult, verifyChecksums } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import type { FramePieces, Link, LinkFrame } from '../../link/link.ts'
import { DeviceCounter, NicCounters, RxCounter } from '../../rings/nic-counters.ts'
import type { NicFeatures, NicSettings, RxQueueConfig } from '../../rings/nic-types.ts'
import type { RxFrontEnd } from '../../rings/rx-front-end.ts'
import type { TxFrontEnd } from '../../rings/tx-front-end.ts'
import type { DmaSpace } from '../dma-space.ts'
import { checkConfig, queueAt, queueBusy } from './queue-config.ts'
import { RxQueue } from './rx-queue.ts'
import { isSegmentable, Segmenter } from './segmenter.ts'
import { Steering } from './steering.ts'
import { TxQueue } from './tx-queue.ts'

const ETHERNET_BYTES = 14
const MAX_QUEUES = 256
/** An IP packet of full length with an Ethernet header and a VLAN tag. */
const MAX_FRAME_BYTES = 0xffff + 18
/** Time after which hardware commonly takes a pause for a fault (a pause storm). */
const PAUSE_LIMIT_MS = 8000

export interface NetworkCardOptions extends NicSettings {
  /** Receive queues: 1 to 256. */
  readonly queues: number
  readonly dma: DmaSpace
  readonly link: Link
  /**
   * Bytes of the largest IP packet that is received (MRU). Longer ones are dropped and counted. 2^20 by
   * default, which is more than any.
   */
  readonly largestPacket?: number
  /** Clock of `pauseLimitMs`: `performance.now` by default. */
  readonly clockMs?: () => number
}

export class NetworkCard {
  readonly features: NicFeatures
  readonly counters: NicCounters
  readonly steering: Steering
  readonly #link: Link
  readonly #pauseLimitMs: number
  readonly #largestPacket: number
  readonly #clockMs: () => number
  readonly #rx: readonly RxQueue[]
  readonly #tx: readonly TxQueue[]
  /** Queue that sends first, behind the one that has used up the last budget. */
  #firstTx = 0

  // The frame that is being received:
  readonly #ownLayout = new FrameLayout()
  #layout: FrameLayout = this.#ownLayout
  #checksum: number = ChecksumResult.none
  #hash = 0
  #queue: RxQueue | undefined
  /**
   * The frame that the link is paused for. It stays valid while the link is not asked for the next.
   */
  #waiting: LinkFrame | undefined
  #waitingSinceMs = 0
  /** Segments of the large frame that is being received. */
  readonly #segmenter = new Segmenter(createFrameMemory(1))

  /** @throws NETMEM_OUT_OF_RANGE for an option outside its range. */
  constructor(options: NetworkCardOptions) {
    const { dma, link, pause = false, verifyChecksums = true } = options
    const rxQueues = checkInteger('queues', options.queues, 1, MAX_QUEUES)
    const txQueues = checkInteger('txQueues', options.txQueues ?? rxQueues, 1, MAX_QUEUES)
    const longest = options.maxFrameBytes ?? MAX_FRAME_BYTES
    const maxFrameBytes = checkInteger('maxFrameBytes', longest, ETHERNET_BYTES, 2 ** 20)
    this.#largestPacket = checkInteger(
      'largestPacket',
      options.largestPacket ?? 2 ** 20,
      68,
      2 ** 20,
    )
    const pauseLimitMs = options.pauseLimitMs ?? PAUSE_LIMIT_MS
    this.#pauseLimitMs = checkInteger('pauseLimitMs', pauseLimitMs, 0, 2 ** 31)
    this.#clockMs = options.clockMs ?? (() => performance.now())
    this.#link = link
    this.steering = new Steering(rxQueues)
    this.counters = new NicCounters(rxQueues, txQueues)
    this.#rx = this.counters.rx.map((counters) => new RxQueue(dma, counters))
    this.#tx = this.counters.tx.map((counters) => new TxQueue(dma, maxFrameBytes, counters))
    this.features = {
      rxQueues,
      txQueues,
      verifiesChecksums: verifyChecksums,
      pause,
      maxFrameBytes,
    }
  }

  /**
   * Receives at most `budget` frames that have arrived by `nowNs`, and makes them visible to their
   * drivers.
   *
   * @param budgetBytes bytes of frames after which the others wait for the next call: no limit by
   * default.
   * @returns the number of frames taken off the link, dropped ones included. A large frame counts as
   * the packets that it is delivered as.
   */
  receive(nowNs: number, budget: number, budgetBytes: number = Number.MAX_SAFE_INTEGER): number {
    const queues = this.#rx
    let received = 0
    let left = budgetBytes
    try {
      // The segments of a large frame are not left for later, since their link might have no other
      // frames.
      while ((received < budget && left > 0) || this.#segmenter.pending) {
        let frame = this.#waiting
        if (frame === undefined && this.#segmenter.pending) frame = this.#nextSegment()
        if (frame === undefined) {
          frame = this.#link.receive(nowNs)
          if (frame === undefined) break
          left -= frame.length
          if (!this.#classify(frame)) {
            received++
            continue
          }
          if (frame.segmentBytes > 0) frame = this.#cut(frame)
        }
        if (!this.#deliver(frame)) break
        received++
      }
    } finally {
      for (let at = 0; at < queues.length; at++) queues[at]?.endBatch()
    }
    return received
  }

  /**
   * Receives a large frame that its sender has left in pieces, and that arrives now. Its driver sees it
   * after the next {@link receive}.
   *
   * @returns false without any effect if the frame has to arrive by its link in one piece. Its queue does
   * not take it whole, has too few buffers, or earlier frames wait.
   */
  receivePieces(head: LinkFrame, pieces: FramePieces): boolean {
    const { layout } = head
    if (layout === undefined || this.#waiting !== undefined || this.#segmenter.pending) return false
    if (packetBytes(head, layout) > this.#largestPacket) return false
    const hash = this.steering.hash(head.memory.bytes, head.offset, layout)
    let queue = this.steering.match(head.memory.bytes, head.offset, layout)
    const isSteered = queue >= 0
    if (!isSteered) queue = this.steering.spread(hash)
    if (this.#rx[queue]?.deliverPieces(head, pieces, layout, hash) !== true) return false
    if (isSteered) this.counters.device.add(DeviceCounter.rx_steered)
    return true
  }

  /**
   * Sends the packets posted on all queues. Returns their number, which is 1 or more if some wait.
   *
   * @param budgetBytes bytes of packets after which the others wait for the next call: no limit by
   * default. A piece counts as 2 KiB at least.
   */
  transmit(nowNs: number, budgetBytes: number = Number.POSITIVE_INFINITY): number {
    const queues = this.#tx
    let at = this.#firstTx
    let left = budgetBytes
    let sent = 0
    for (let turn = 0; turn < queues.length && left > 0; turn++) {
      const queue = queues[at]
      at = at + 1 === queues.length ? 0 : at + 1
      if (queue === undefined) continue
      sent += queue.transmit(nowNs, this.#link, left)
      left -= queue.usedBytes
    }
    this.#firstTx = left > 0 ? 0 : at
    return left > 0 || sent > 0 ? sent : 1
  }

  /** True while a frame waits for buffers, and the link with it. */
  get paused(): boolean {
    return this.#waiting !== undefined
  }

  /**
   * Begins with the segments of a large frame, unless its queue takes it whole. Returns the frame to
   * deliver first. All segments are of the flow that was classified.
   */
  #cut(frame: LinkFrame): LinkFrame {
    const layout = this.#layout
    const queue = this.#queue
    if (queue === undefined || !isSegmentable(layout, frame.length)) return frame
    const pieceBytes = queue.largestPayload(frame, layout)
    if (layout.payloadLength <= pieceBytes) return frame
    this.#segmenter.begin(frame, layout, frame.segmentBytes, pieceBytes)
    return this.#nextSegment()
  }

  /** Makes the next segment of a large frame, of which some are left. */
  #nextSegment(): LinkFrame {
    const segmenter = this.#segmenter
    segmenter.next()
    this.#layout = segmenter.layout
    return segmenter.frame
  }

  /** Parses, verifies, hashes and steers a frame. Returns false if its length is not that of a frame. */
  #classify(frame: LinkFrame): boolean {
    const { memory, offset, length } = frame
    if (length < ETHERNET_BYTES || offset < 0 || offset + length > memory.bytes.length) {
      this.counters.device.add(DeviceCounter.rx_length_errors)
      return false
    }
    const layout =
      frame.layout ??
      parseFrame(memory.bytes, offset, length, this.#ownLayout, frame.originalLength)
    this.#layout = layout
    this.#checksum = this.#verify(frame, layout)
    this.#hash =
      layout.kind >= FrameKind.fragment ? this.steering.hash(memory.bytes, offset, layout) : 0
    let queue = this.steering.match(memory.bytes, offset, layout)
    if (queue < 0) queue = this.steering.spread(this.#hash)
    else this.counters.device.add(DeviceCounter.rx_steered)
    this.#queue = this.#rx[queue]
    if (packetBytes(frame, layout) <= this.#largestPacket) return true
    this.#queue?.drop(RxCounter.rx_over_mru)
    return false
  }

  #verify(frame: LinkFrame, layout: FrameLayout): number {
    // The frame has not left the sender's memory, so it cannot be damaged.
    if (layout.kind >= FrameKind.tcp && frame.checksum === 'partial') return ChecksumResult.ok
    if (!this.features.verifiesChecksums || frame.length < frame.originalLength) {
      return ChecksumResult.none
    }
    return verifyChecksums(frame.memory, frame.offset, layout)
  }

  /** False if the frame has to wait for buffers. */
  #deliver(frame: LinkFrame): boolean {
    const queue = this.#queue
    if (queue === undefined) return true
    if (queue.deliver(frame, this.#layout, this.#checksum, this.#hash)) queue.pausedTooLong = false
    else {
      if (this.features.pause && this.#wait(queue, frame)) return false
      queue.drop(RxCounter.rx_hw_drop_overruns)
    }
    if (this.#waiting !== undefined) {
      this.#waiting = undefined
      this.counters.paused = false
    }
    return true
  }

  #wait(queue: RxQueue, frame: LinkFrame): boolean {
    if (queue.pausedTooLong) return false
    const now = this.#clockMs()
    if (this.#waiting === undefined) {
      this.#waiting = frame
      this.#waitingSinceMs = now
      this.counters.device.add(DeviceCounter.tx_pause_frames)
      this.counters.paused = true
    }
    if (now - this.#waitingSinceMs <= this.#pauseLimitMs) return true
    queue.pausedTooLong = true
    return false
  }

  /**
   * Starts a receive queue. The other queues continue. Steering stays as it is.
   *
   * @throws NETMEM_NIC_CONFIG for an unknown queue or an invalid config, NETMEM_NIC_BUSY if it is
   * started, NETMEM_BIND_HEADER_SPLIT for device memory without header split.
   */
  startQueue(queue: number, ring: RxFrontEnd, config: RxQueueConfig): void {
    const rx = queueAt(this.#rx, queue, 'receive')
    if (rx.started) throw queueBusy('receive', queue)
    checkConfig(ring, config)
    rx.start(ring, config)
  }

  /**
   * Stops a receive queue. The other queues continue. The NIC does not write to its buffers afterwards,
   * and drops its frames. A second call has no effect.
   *
   * @throws NETMEM_NIC_CONFIG for an unknown queue.
   */
  stopQueue(queue: number): void {
    queueAt(this.#rx, queue, 'receive').stop()
  }

  /** @throws NETMEM_NIC_CONFIG for an unknown queue, NETMEM_NIC_BUSY if it is started. */
  startTxQueue(queue: number, ring: TxFrontEnd): void {
    const tx = queueAt(this.#tx, queue, 'transmit')
    if (tx.started) throw queueBusy('transmit', queue)
    tx.start(ring)
  }

  /**
   * Stops a transmit queue. Posted packets that are not completed are not sent.
   *
   * @throws NETMEM_NIC_CONFIG for an unknown queue.
   */
  stopTxQueue(queue: number): void {
    queueAt(this.#tx, queue, 'transmit').stop()
  }
}

/** Returns the bytes behind the Ethernet header and its tags, of the longest segment of a large frame. */
function packetBytes({ originalLength, segmentBytes }: LinkFrame, layout: FrameLayout): number {
  const bytes = segmentBytes > 0 ? layout.headerLength + segmentBytes : originalLength
  return bytes - (layout.ipOffset === 0 ? ETHERNET_BYTES : layout.ipOffset)
}
