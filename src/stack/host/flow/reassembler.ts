/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Puts one direction of a TCP connection in order, as an observer (RFC 9293, 3.4). It sends no
 * acknowledgements and keeps no window, so it has its own limits for waiting data. Of bytes that arrive
 * twice the first copy counts. Urgent data stays in line.
 */

import { checkInteger, ownOptions } from '../../../errors.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { FIN, RST, SYN } from '../../../wire/tcp.ts'
import type { AnySkb } from '../skb/skb.ts'
import { OutOfOrderQueue } from './out-of-order-queue.ts'
import {
  REASSEMBLER_OPTIONS,
  type ReassemblerOptions,
  type ReassemblerStats,
  type StreamState,
} from './stream-types.ts'

/** Largest window of TCP (RFC 7323, 2.3). Segments further ahead are of another connection. */
const MAX_WINDOW_BYTES = 2 ** 30

/** Puts the packets of one direction of a TCP connection in order. */
export class Reassembler implements Disposable {
  readonly #sink: (skb: AnySkb) => void
  readonly #queue: OutOfOrderQueue
  readonly #skips: boolean
  readonly #awaitsSyn: boolean
  /** Part of the stream's life. While it is `held`, data waits for the SYN, and positions count from its first segment. */
  #phase: 'idle' | 'held' | 'open' | 'closed' = 'idle'
  /** Position of the next byte to deliver. Unlike sequence numbers, positions do not wrap around. */
  #next = 0
  /** Sequence number of position 0, as signed 32-bit. */
  #firstSeq = 0
  /** Sequence number of the first byte, if a SYN was seen. */
  #synSeq: number | undefined
  /** Position of the end, once it is known. */
  #endAt = Number.POSITIVE_INFINITY
  #endState: 'finished' | 'reset' = 'finished'
  /** Position of the last reset that was not at the next byte. Receivers ignore it there (RFC 5961, 3.2). */
  #resetAt = Number.NaN
  readonly #counters = {
    bytes: 0,
    out_of_order: 0,
    duplicate_bytes: 0,
    out_of_window: 0,
    after_end_bytes: 0,
    gaps: 0,
    gap_bytes: 0,
  }

  /**
   * @param sink Called with the skbs of the stream in order, which it frees. It may call `close`, and no
   *   other method of this object.
   * @throws NETMEM_OUT_OF_RANGE and NETMEM_INVALID_ARGUMENT.
   */
  constructor(sink: (skb: AnySkb) => void, options: ReassemblerOptions = {}) {
    const own = ownOptions('new Reassembler()', options, REASSEMBLER_OPTIONS)
    const { queueBytes = 4 * 1024 * 1024, queueSkbs = 1024, whenFull, awaitSyn = false } = own
    checkInteger('queueBytes', queueBytes, 0, 2 ** 40)
    checkInteger('queueSkbs', queueSkbs, 0, 2 ** 20)
    this.#sink = sink
    this.#queue = new OutOfOrderQueue(queueBytes, queueSkbs)
    this.#skips = whenFull === 'skip'
    this.#awaitsSyn = awaitSyn
  }

  /** State of the stream. */
  get state(): StreamState {
    if (this.#phase === 'open') return this.#next === this.#endAt ? this.#endState : 'open'
    return this.#phase === 'held' ? 'idle' : this.#phase
  }

  /** Number of payload bytes that wait for missing bytes. */
  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** Number of skbs that wait for missing bytes. */
  get queuedSkbs(): number {
    return this.#queue.length
  }

  /** Takes over a segment: an skb, with the layout that `FlowTable.demux` has read. */
  receive(skb: AnySkb, layout: FrameLayout): void {
    const flags = layout.tcpFlags & (FIN | SYN | RST)
    const bytes = skb.payloadLength
    if (
      flags === 0 &&
      ((layout.seq - this.#firstSeq - this.#next) | 0) === 0 &&
      bytes > 0 &&
      this.#queue.length === 0 &&
      this.#next + bytes <= this.#endAt &&
      this.#phase === 'open'
    ) {
      this.#deliver(skb, bytes)
      return
    }
    this.#receiveSlow(skb, layout, flags, bytes)
  }

  /** True if a segment begins a later connection between the same ports, which needs another reassembler. */
  startsAnew(layout: FrameLayout): boolean {
    if ((layout.tcpFlags & SYN) === 0) return false
    const seq = (layout.seq + 1) | 0
    if (this.#phase === 'idle') return false
    if (this.#phase === 'held') return !this.#maySettle(this.#positionOf(seq))
    if (this.#synSeq === seq) return false
    return this.state !== 'open' || this.#synSeq !== undefined
  }

  /** Stops waiting for the SYN: the stream begins with the first byte that waits. */
  start(): void {
    if (this.#phase === 'held') this.#settle(this.#firstHeld)
  }

  /**
   * Gives up all gaps and delivers all segments that wait: for the end of a capture. Counts each gap
   * with its bytes. An early reset ends the stream if the stream has come to its position.
   */
  flushGaps(): void {
    this.start()
    while (this.#queue.length > 0) this.#skipGap(this.#queue.firstStart)
    if (this.state === 'open' && this.#endAt !== Number.POSITIVE_INFINITY) {
      this.#skipGap(this.#endAt)
    }
    this.#resetIfDue()
  }

  /** Frees all segments that wait. Later segments are freed at once. */
  close(): void {
    this.#phase = 'closed'
    this.#queue.clear()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Returns a snapshot of the counters. */
  stats(): ReassemblerStats {
    const { dropped, dropped_bytes } = this.#queue
    return { ...this.#counters, dropped, dropped_bytes }
  }

  #receiveSlow(skb: AnySkb, layout: FrameLayout, flags: number, bytes: number): void {
    // A SYN takes the sequence number before the first byte.
    const seq = (layout.seq + ((flags & SYN) === 0 ? 0 : 1)) | 0
    if (this.#phase === 'closed' || !this.#begin(seq, flags, bytes)) {
      skb.free()
      return
    }
    const held = this.#phase === 'held'
    const position = this.#positionOf(seq)
    const ahead = position - this.#next
    if (ahead > MAX_WINDOW_BYTES || (held && ahead < -MAX_WINDOW_BYTES)) {
      this.#counters.out_of_window++
      skb.free()
      return
    }
    if ((flags & RST) !== 0) {
      // The payload of a reset is a message to people (RFC 9293, 3.5.3).
      skb.free()
      if (ahead === 0 && !held) this.#endsAt(position, 'reset')
      else if (ahead > 0 || held) this.#resetAt = position
    } else {
      if ((flags & FIN) !== 0) this.#endsAt(position + bytes, 'finished')
      this.#place(skb, position)
    }
  }

  /** Returns the position of a sequence number, which is at most 2^31 from the next byte. */
  #positionOf(seq: number): number {
    return this.#next + ((seq - this.#firstSeq - this.#next) | 0)
  }

  /** True if the stream has begun, with this segment at the latest. A bare acknowledgement may be a probe, one byte too low. */
  #begin(seq: number, flags: number, bytes: number): boolean {
    if (this.#phase === 'open') return true
    if (flags === 0 && bytes === 0) return false
    const isSyn = (flags & SYN) !== 0
    if (isSyn) this.#synSeq = seq
    if (this.#phase === 'idle') {
      this.#firstSeq = seq
      this.#phase = this.#awaitsSyn && !isSyn ? 'held' : 'open'
    } else if (isSyn) {
      const position = this.#positionOf(seq)
      // A SYN too far ahead of the data that waits is another stream's.
      this.#settle(this.#maySettle(position) ? position : Math.max(position, this.#firstHeld))
    }
    return true
  }

  /** Position of the first segment that waits for the SYN, or of a reset if no other waits. */
  get #firstHeld(): number {
    const first = Math.min(this.#queue.firstStart, this.#endAt)
    return first === Number.POSITIVE_INFINITY ? this.#resetAt : first
  }

  /** True if a SYN whose first byte is at `position` can belong to the waiting data: the queue can have the bytes between. */
  #maySettle(position: number): boolean {
    const lateBytes = this.#firstHeld - position
    return lateBytes >= 0 && lateBytes <= Math.min(this.#queue.maxBytes, MAX_WINDOW_BYTES)
  }

  /** Begins the stream at `position`, which may be before or behind the data that waits. */
  #settle(position: number): void {
    this.#phase = 'open'
    this.#next = position
    // An end before the beginning was another stream's, and so is data before it.
    if (this.#endAt < position) this.#endAt = Number.POSITIVE_INFINITY
    while (this.#queue.firstStart < position) {
      const start = this.#queue.firstStart
      const skb = this.#queue.shift()
      if (skb !== undefined) this.#place(skb, start)
    }
    this.#drain()
    this.#resetIfDue()
  }

  /** Queues the missing bytes of a segment, and delivers what is in order. */
  #place(skb: AnySkb, position: number): void {
    const tooLong = position + skb.payloadLength - this.#endAt
    if (tooLong > 0) this.#counters.after_end_bytes += skb.trimEnd(tooLong)
    const bytes = skb.payloadLength
    if (bytes > 0 && this.#phase === 'held' && !this.#queue.hasRoom(bytes)) {
      this.#settle(Math.min(position, this.#queue.firstStart))
    }
    const held = this.#phase === 'held'
    const skips = this.#skips && !held
    while (skips && position > this.#next && !this.#queue.hasRoom(bytes)) {
      this.#skipGap(Math.min(position, this.#queue.firstStart))
    }
    const isNext = !held && position <= this.#next
    const known = isNext ? skb.trimFront(this.#next - position) : 0
    this.#counters.duplicate_bytes += known
    if (known === bytes || this.#phase === 'closed') {
      skb.free()
      return
    }
    if (!isNext && !held) this.#counters.out_of_order++
    this.#counters.duplicate_bytes += this.#queue.insert(skb, position + known, isNext)
    this.#drain()
  }

  #skipGap(to: number): void {
    this.#counters.gaps++
    this.#counters.gap_bytes += to - this.#next
    this.#next = to
    this.#drain()
  }

  #drain(): void {
    while (this.#phase !== 'held' && this.#queue.firstStart === this.#next) {
      const skb = this.#queue.shift()
      if (skb === undefined) return
      this.#deliver(skb, skb.payloadLength)
    }
  }

  #deliver(skb: AnySkb, bytes: number): void {
    this.#next += bytes
    this.#counters.bytes += bytes
    this.#sink(skb)
  }

  /** Notes the end of the stream, unless an earlier end is known. */
  #endsAt(position: number, state: 'finished' | 'reset'): void {
    if ((position < this.#next && this.#phase !== 'held') || position >= this.#endAt) return
    this.#endAt = position
    this.#endState = state
    this.#counters.after_end_bytes += this.#queue.cut(position)
  }

  /** Ends the stream at the next byte if an early reset was for it and no segment waits behind it. */
  #resetIfDue(): void {
    if (this.#next === this.#resetAt && this.#queue.length === 0) this.#endsAt(this.#next, 'reset')
  }
}
