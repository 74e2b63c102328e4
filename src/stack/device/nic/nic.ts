/**
 * A network card: takes frames from a link, steers each to a queue, splits its headers from its
 * payload, and writes both by DMA to where the queue's driver wants them; the other way round it
 * gathers packets from memory and sends them. It knows DMA addresses and front ends, and nothing of
 * the drivers, pools and pages behind them. It lives in the thread of its link and device memory.
 *
 * The path of a frame: `receive` → `#classify` (parse, verify, hash, steer) → `RxQueue.deliver`.
 */

import { checkInteger } from '../../../errors.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { DeviceError } from '../../device-error.ts'
import type { Link, LinkFrame } from '../../link/link.ts'
import { ActiveKnobs } from '../../rings/active-knobs.ts'
import { RxCounters, TxCounters } from '../../rings/nic-counters.ts'
import {
  type LocatedRule,
  MAX_STEERING_RULES,
  type NicFeatures,
  type NicKnobs,
  type NicSettings,
  type NicStats,
  RSS_TABLE_ENTRIES,
  type RxQueueConfig,
  type SteeringRule,
} from '../../rings/nic-types.ts'
import type { RxFrontEnd } from '../../rings/rx-front-end.ts'
import type { TxFrontEnd } from '../../rings/tx-front-end.ts'
import type { DmaSpace } from '../dma/dma-space.ts'
import { CHECKSUM_NONE, CHECKSUM_OK, type NicOffloads } from './offloads.ts'
import { busy, checkConfig, noQueue } from './queue-config.ts'
import { OUT_OF_BUFFER, RxQueue } from './rx-queue.ts'
import { Steering } from './steering.ts'
import { TxQueue } from './tx-queue.ts'

const ETHERNET_BYTES = 14
const MAX_QUEUES = 256
/** An IP packet of full length with an Ethernet header and a VLAN tag. */
const MAX_FRAME_BYTES = 0xffff + 18
/** As long as hardware commonly waits before it takes a pause for a fault (a pause storm). */
const PAUSE_LIMIT_MS = 8000

export interface NicOptions extends NicSettings {
  /** Receive queues: 1 to 256. */
  readonly queues: number
  readonly dma: DmaSpace
  readonly link: Link
  readonly offloads: NicOffloads
  /** What `pauseLimitMs` is measured with; `performance.now` by default. */
  readonly clockMs?: () => number
}

export class Nic {
  readonly features: NicFeatures
  readonly #link: Link
  readonly #offloads: NicOffloads
  readonly #verify: boolean
  readonly #pause: boolean
  readonly #pauseLimitMs: number
  readonly #clockMs: () => number
  readonly #steering: Steering
  readonly #knobs = new ActiveKnobs()
  readonly #rx: RxQueue[] = []
  readonly #tx: TxQueue[] = []

  // Of the frame that is being received:
  readonly #layout = new FrameLayout()
  #checksum = CHECKSUM_NONE
  #hash = 0
  #queue: RxQueue | undefined
  #overflow = false
  /** The frame that the link is paused for. The link's, valid until it is asked for the next. */
  #waiting: LinkFrame | undefined
  #waitingSinceMs = 0

  #lengthErrors = 0
  #steered = 0
  #pauseFrames = 0

  /** Throws NETMEM_OUT_OF_RANGE for an option outside its range. */
  constructor(options: NicOptions) {
    const rxQueues = checkInteger('queues', options.queues, 1, MAX_QUEUES)
    const txQueues = checkInteger('txQueues', options.txQueues ?? rxQueues, 1, MAX_QUEUES)
    const maxFrameBytes = checkInteger(
      'maxFrameBytes',
      options.maxFrameBytes ?? MAX_FRAME_BYTES,
      ETHERNET_BYTES,
      2 ** 20,
    )
    this.#link = options.link
    this.#offloads = options.offloads
    this.#verify = options.verifyChecksums ?? true
    this.#pause = options.pause ?? false
    this.#pauseLimitMs = checkInteger(
      'pauseLimitMs',
      options.pauseLimitMs ?? PAUSE_LIMIT_MS,
      0,
      2 ** 31,
    )
    this.#clockMs = options.clockMs ?? (() => performance.now())
    this.#steering = new Steering(rxQueues)
    for (let queue = 0; queue < rxQueues; queue++) this.#rx.push(new RxQueue(options.dma))
    for (let queue = 0; queue < txQueues; queue++) {
      this.#tx.push(new TxQueue(options.dma, options.offloads, maxFrameBytes))
    }
    this.features = {
      rxQueues,
      txQueues,
      rssTableEntries: RSS_TABLE_ENTRIES,
      maxSteeringRules: MAX_STEERING_RULES,
      headerSplit: ['off', 'headers', 'fill'],
      deviceMemory: true,
      coalescing: true,
      verifiesChecksums: this.#verify,
      pause: this.#pause,
      maxFrameBytes,
    }
  }

  /**
   * Receives at most `budget` frames that have arrived by `nowNs`, and makes them visible to their
   * drivers. Returns how many it took off the link, dropped ones included.
   */
  receive(nowNs: number, budget: number): number {
    const queues = this.#rx
    for (let at = 0; at < queues.length; at++) queues[at]?.forgetMemory()
    let received = 0
    try {
      while (received < budget) {
        let frame = this.#waiting
        if (frame === undefined) {
          frame = this.#link.receive(nowNs)
          if (frame === undefined) break
          if (!this.#classify(frame)) {
            received++
            continue
          }
        }
        if (!this.#deliver(frame)) break
        received++
      }
    } finally {
      for (let at = 0; at < queues.length; at++) queues[at]?.endBatch()
    }
    return received
  }

  /** Sends what is posted on all queues; returns how many packets went out. */
  transmit(nowNs: number): number {
    const queues = this.#tx
    let sent = 0
    for (let at = 0; at < queues.length; at++) {
      sent += queues[at]?.transmit(nowNs, this.#link) ?? 0
    }
    return sent
  }

  /** Whether a frame waits for buffers, and the link with it: `receive` does nothing before some are posted. */
  get paused(): boolean {
    return this.#waiting !== undefined
  }

  /** Finds out all about a frame; false for one that is none. */
  #classify(frame: LinkFrame): boolean {
    const { memory, offset, length } = frame
    if (length < ETHERNET_BYTES || offset < 0 || offset + length > memory.bytes.length) {
      this.#lengthErrors++
      return false
    }
    const layout = parseFrame(memory.bytes, offset, length, this.#layout, frame.originalLength)
    const splittable = layout.kind === FrameKind.tcp || layout.kind === FrameKind.udp
    const isIp = layout.kind >= FrameKind.fragment
    this.#checksum = CHECKSUM_NONE
    if (splittable && frame.checksum === 'partial') this.#checksum = CHECKSUM_OK
    else if (isIp && this.#verify && length >= frame.originalLength) {
      this.#checksum = this.#offloads.verify(memory, offset, layout)
    }
    this.#hash = isIp ? this.#offloads.hashFlow(memory.bytes, offset, layout) | 0 : 0
    let queue = this.#steering.match(memory.bytes, offset, layout)
    if (queue >= 0) {
      this.#steered++
      queue = this.#knobs.misroute(queue)
    } else queue = this.#steering.spread(this.#hash)
    this.#queue = this.#rx[queue]
    this.#overflow = splittable && this.#queue?.splits === true && this.#knobs.overflows()
    return true
  }

  /** False when the frame has to wait. */
  #deliver(frame: LinkFrame): boolean {
    const queue = this.#queue
    if (queue === undefined) return true
    const outcome = queue.deliver(frame, this.#layout, this.#checksum, this.#hash, this.#overflow)
    if (outcome === OUT_OF_BUFFER) {
      if (this.#pause && this.#wait(queue, frame)) return false
      queue.dropForWantOfBuffers()
    } else queue.pausedTooLong = false
    this.#waiting = undefined
    return true
  }

  #wait(queue: RxQueue, frame: LinkFrame): boolean {
    if (queue.pausedTooLong) return false
    const now = this.#clockMs()
    if (this.#waiting === undefined) {
      this.#waiting = frame
      this.#waitingSinceMs = now
      this.#pauseFrames++
    }
    if (now - this.#waitingSinceMs <= this.#pauseLimitMs) return true
    queue.pausedTooLong = true
    return false
  }

  /**
   * Starts a receive queue; the others go on. From a start with `boundToDevice` to one without it
   * RSS spreads nothing to it, unless all queues are bound; steering rules reach it always.
   * Throws NETMEM_NIC_CONFIG (no such queue, or a config that makes no sense), NETMEM_NIC_BUSY
   * (started already), NETMEM_BIND_HEADER_SPLIT (device memory without header split), and
   * NETMEM_QUEUE_START where the knob says so.
   */
  startQueue(queue: number, frontEnd: RxFrontEnd, config: RxQueueConfig): void {
    const rx = this.#rxQueue(queue)
    if (rx.started) throw busy('receive', queue)
    checkConfig(frontEnd, config)
    if (this.#knobs.startFails(queue)) {
      throw new DeviceError(
        'NETMEM_QUEUE_START',
        'EIO',
        `Receive queue ${queue} did not start. Start it again, or put back what it was before.`,
      )
    }
    rx.start(frontEnd, config)
    this.#steering.setBound(queue, config.boundToDevice)
  }

  /**
   * Stops a receive queue; the others go on. Nothing is written to its memory after it, and the
   * driver has back what is posted and not completed. Frames for it are dropped. Stopping a stopped
   * queue changes nothing. Throws NETMEM_NIC_CONFIG for a queue that there is not.
   */
  stopQueue(queue: number): void {
    this.#rxQueue(queue).stop()
  }

  /** Starts a transmit queue. Throws NETMEM_NIC_CONFIG, NETMEM_NIC_BUSY. */
  startTxQueue(queue: number, frontEnd: TxFrontEnd): void {
    const tx = this.#txQueue(queue)
    if (tx.started) throw busy('transmit', queue)
    tx.start(frontEnd)
  }

  /** Stops a transmit queue: what is posted and not completed is not sent. Throws NETMEM_NIC_CONFIG. */
  stopTxQueue(queue: number): void {
    this.#txQueue(queue).stop()
  }

  /** The RSS indirection table in effect: a queue for each of its 128 entries, without bound ones. */
  get rssTable(): number[] {
    return this.#steering.table
  }

  /** Sets the whole of it; entries of bound queues count once these are bound no longer. Throws NETMEM_NIC_CONFIG for another length and for unknown queues; nothing is changed then. */
  setRssTable(table: ArrayLike<number>): void {
    this.#steering.setTable(table)
  }

  get rules(): LocatedRule[] {
    return this.#steering.rules
  }

  /** Adds a rule; returns its location. Throws NETMEM_NIC_CONFIG (EINVAL, EEXIST, ENOSPC), NETMEM_OUT_OF_RANGE for a port. */
  addRule(rule: SteeringRule): number {
    return this.#steering.add(rule)
  }

  /** Throws NETMEM_NIC_CONFIG where there is no rule. */
  removeRule(location: number): void {
    this.#steering.remove(location)
  }

  /** Turns all knobs: those not named are off. Throws NETMEM_NIC_CONFIG for a queue that there is
   * not, NETMEM_OUT_OF_RANGE or NETMEM_INVALID_ARGUMENT for a wrong count. */
  setKnobs(knobs: NicKnobs): void {
    const { failQueueStart, headerOverflowFrames, misroute, dryQueues = [] } = knobs
    for (const queue of dryQueues) this.#rxQueue(queue)
    if (failQueueStart !== undefined) this.#rxQueue(failQueueStart.queue)
    if (misroute !== undefined) this.#rxQueue(misroute.queue)
    checkInteger('failQueueStart.times', failQueueStart?.times ?? 0, 0, Number.MAX_SAFE_INTEGER)
    checkInteger('misroute.frames', misroute?.frames ?? 0, 0, Number.MAX_SAFE_INTEGER)
    checkInteger('headerOverflowFrames', headerOverflowFrames ?? 0, 0, Number.MAX_SAFE_INTEGER)
    this.#knobs.set(knobs)
    for (const [queue, rx] of this.#rx.entries()) rx.dry = dryQueues.includes(queue)
  }

  /** A copy of all counters. */
  stats(): NicStats {
    const rx = new RxCounters()
    const tx = new TxCounters()
    for (const { counters } of this.#rx) rx.add(counters)
    for (const { counters } of this.#tx) tx.add(counters)
    return {
      device: {
        ...rx,
        ...tx,
        rx_length_errors: this.#lengthErrors,
        rx_steered: this.#steered,
        tx_pause_frames: this.#pauseFrames,
      },
      rxQueues: this.#rx.map(({ counters }) => ({ ...counters })),
      txQueues: this.#tx.map(({ counters }) => ({ ...counters })),
    }
  }

  #rxQueue(queue: number): RxQueue {
    const rx = this.#rx[queue]
    if (rx === undefined) throw noQueue('receive', queue, this.#rx.length)
    return rx
  }

  #txQueue(queue: number): TxQueue {
    const tx = this.#tx[queue]
    if (tx === undefined) throw noQueue('transmit', queue, this.#tx.length)
    return tx
  }
}
