/// <reference lib="esnext.disposable" preserve="true" />
/**
 * One direction of a TCP connection, put in order by somebody who only watches (RFC 9293, 3.4): no
 * acknowledgements are sent and no window is kept, so it takes what comes within bounds of its own.
 * Of bytes that arrive twice the first copy counts. Urgent data stays in line.
 */

import { checkInteger, ownOptions } from '../../../errors.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { FIN, RST, SYN } from '../../../wire/tcp.ts'
import type { AnySkb } from '../skb/skb.ts'
import { OutOfOrderQueue } from './out-of-order-queue.ts'
import { StreamCursor } from './stream-cursor.ts'
import {
  REASSEMBLER_OPTIONS,
  type ReassemblerOptions,
  type ReassemblerStats,
  type StreamState,
} from './stream-types.ts'

/** The largest window there is (RFC 7323, 2.3): what is further ahead is of another connection. */
const MAX_WINDOW_BYTES = 2 ** 30

/** Puts the packets of one direction of a TCP connection in order. */
export class Reassembler implements Disposable {
  readonly #sink: (skb: AnySkb) => void
  readonly #queue: OutOfOrderQueue
  readonly #skips: boolean
  readonly #awaitsSyn: boolean
  /** How far before the data that waits a SYN may lie: what is between them has to fit beside it. */
  readonly #maxLateBytes: number
  /** True in the state `idle` while data waits for the SYN: nothing is delivered, and the cursor is where the first of it was. */
  #holding = false
  #state: StreamState = 'idle'
  /** The next byte to deliver. */
  readonly #next = new StreamCursor()
  /** The number that the SYN gave the first byte, if one was seen. */
  #synSeq: number | undefined
  #endAt = Number.POSITIVE_INFINITY
  #endState: 'finished' | 'reset' = 'finished'
  /** Position of the last reset that was not the next byte. No receiver takes it there (RFC 5961, 3.2). */
  #resetAt = Number.NaN
  #bytes = 0
  #outOfOrder = 0
  #duplicateBytes = 0
  #outOfWindow = 0
  #afterEndBytes = 0
  #gaps = 0
  #gapBytes = 0

  /** `sink` gets the stream's skbs in order, and frees them; it may call `close`, and nothing else of this. */
  constructor(sink: (skb: AnySkb) => void, options: ReassemblerOptions = {}) {
    const own = ownOptions('new Reassembler()', options, REASSEMBLER_OPTIONS)
    const { queueBytes = 4 * 1024 * 1024, queueSkbs = 1024, whenFull, awaitSyn = false } = own
    checkInteger('queueBytes', queueBytes, 0, 2 ** 40)
    checkInteger('queueSkbs', queueSkbs, 0, 2 ** 20)
    this.#sink = sink
    this.#queue = new OutOfOrderQueue(queueBytes, queueSkbs)
    this.#maxLateBytes = Math.min(queueBytes, MAX_WINDOW_BYTES)
    this.#skips = whenFull === 'skip'
    this.#awaitsSyn = awaitSyn
  }

  get state(): StreamState {
    return this.#state
  }

  /** Payload bytes that wait for what is missing. */
  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** The skbs they are in. */
  get queuedSkbs(): number {
    return this.#queue.length
  }

  /** Takes over a segment: an skb, and what {@link FlowTable.demux} read of its headers. */
  receive(skb: AnySkb, layout: FrameLayout): void {
    const flags = layout.tcpFlags & (FIN | SYN | RST)
    const bytes = skb.payloadLength
    if (
      flags === 0 &&
      (layout.seq | 0) === this.#next.seq &&
      bytes > 0 &&
      this.#queue.length === 0 &&
      this.#next.position + bytes <= this.#endAt &&
      this.#state === 'open'
    ) {
      this.#deliver(skb, bytes)
      this.#endIfDue()
      return
    }
    this.#receiveSlow(skb, layout, flags, bytes)
  }

  /** Whether a segment belongs to a later connection between the same ports: give it a reassembler of its own. */
  startsAnew(layout: FrameLayout): boolean {
    if ((layout.tcpFlags & SYN) === 0) return false
    const seq = (layout.seq + 1) | 0
    if (this.#state === 'idle') return this.#holding && !this.#maySettle(this.#next.positionOf(seq))
    if (this.#synSeq === seq) return false
    return this.#state !== 'open' || this.#synSeq !== undefined
  }

  /** Waits for the SYN no longer: the stream begins with the first of what has come. */
  start(): void {
    if (!this.#holding) return
    this.#settle(this.#firstHeld)
    this.#endIfDue()
  }

  /**
   * Gives up what is missing and hands on all that waits: for the end of a capture. Each gap is
   * counted, with its bytes. A reset that came early ends the stream if it has come to there.
   */
  flushGaps(): void {
    this.start()
    while (this.#queue.length > 0) this.#skipGap(this.#queue.firstStart)
    if (this.#state === 'open' && this.#endAt !== Number.POSITIVE_INFINITY) {
      this.#skipGap(this.#endAt)
    }
    this.#resetIfDue()
    this.#endIfDue()
  }

  /** Frees what waits; everything that still comes is freed at once. */
  close(): void {
    this.#state = 'closed'
    this.#holding = false
    this.#queue.clear()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Its counters as they stand. */
  stats(): ReassemblerStats {
    return {
      bytes: this.#bytes,
      outOfOrder: this.#outOfOrder,
      duplicateBytes: this.#duplicateBytes,
      dropped: this.#queue.dropped,
      droppedBytes: this.#queue.droppedBytes,
      outOfWindow: this.#outOfWindow,
      afterEndBytes: this.#afterEndBytes,
      gaps: this.#gaps,
      gapBytes: this.#gapBytes,
    }
  }

  #receiveSlow(skb: AnySkb, layout: FrameLayout, flags: number, bytes: number): void {
    // SYN takes the sequence number before the first byte.
    const seq = (layout.seq + ((flags & SYN) === 0 ? 0 : 1)) | 0
    if (this.#state === 'closed' || !this.#begin(seq, flags, bytes)) {
      skb.free()
      return
    }
    const position = this.#next.positionOf(seq)
    const ahead = position - this.#next.position
    if (ahead > MAX_WINDOW_BYTES || (this.#holding && ahead < -MAX_WINDOW_BYTES)) {
      this.#outOfWindow++
      skb.free()
      return
    }
    if ((flags & RST) !== 0) {
      // What comes with a reset is a message to people (RFC 9293, 3.5.3).
      skb.free()
      if (ahead === 0 && !this.#holding) this.#endsAt(position, 'reset')
      else if (ahead > 0 || this.#holding) this.#resetAt = position
    } else {
      if ((flags & FIN) !== 0) this.#endsAt(position + bytes, 'finished')
      this.#place(skb, position)
    }
    this.#endIfDue()
  }

  /** Whether the stream has begun, with this segment if not before: an acknowledgement alone may be a probe, one byte too low. */
  #begin(seq: number, flags: number, bytes: number): boolean {
    if (this.#state !== 'idle') return true
    if (flags === 0 && bytes === 0) return false
    if ((flags & SYN) !== 0) this.#synSeq = seq
    if (this.#holding) {
      if ((flags & SYN) !== 0) this.#settleAtSyn(this.#next.positionOf(seq))
      return true
    }
    this.#next.seq = seq
    if (this.#awaitsSyn && (flags & SYN) === 0) this.#holding = true
    else this.#state = 'open'
    return true
  }

  /** Where the first of what waits for the SYN is; a reset counts where nothing else waits. */
  get #firstHeld(): number {
    const first = Math.min(this.#queue.firstStart, this.#endAt)
    return first === Number.POSITIVE_INFINITY ? this.#resetAt : first
  }

  /** Whether a SYN whose first byte is at `position` can be that of what waits. */
  #maySettle(position: number): boolean {
    const lateBytes = this.#firstHeld - position
    return lateBytes >= 0 && lateBytes <= this.#maxLateBytes
  }

  /** A SYN too far before what waits is not its own. */
  #settleAtSyn(position: number): void {
    const isOwn = this.#maySettle(position)
    this.#settle(isOwn ? position : Math.max(position, this.#firstHeld))
  }

  /** The stream begins at `position`, which may be before or behind what waits. */
  #settle(position: number): void {
    this.#holding = false
    this.#state = 'open'
    this.#next.advance(position - this.#next.position)
    // An end before the beginning was another stream's, as is what waits before it.
    if (this.#endAt < position) this.#endAt = Number.POSITIVE_INFINITY
    while (this.#queue.firstStart < position) {
      const start = this.#queue.firstStart
      const skb = this.#queue.shift()
      if (skb !== undefined) this.#place(skb, start)
    }
    this.#drain()
    this.#resetIfDue()
  }

  /** Trims a segment to what is missing of the stream and puts it where it belongs. */
  #place(skb: AnySkb, position: number): void {
    let start = position
    const tooLong = start + skb.payloadLength - this.#endAt
    if (tooLong > 0) this.#afterEndBytes += skb.trimEnd(tooLong)
    if (this.#holding) {
      if (skb.payloadLength === 0) {
        skb.free()
        return
      }
      if (this.#queue.hasRoom(skb.payloadLength)) {
        this.#duplicateBytes += this.#queue.insert(skb, start)
        return
      }
      this.#settle(Math.min(start, this.#queue.firstStart))
    }
    if (this.#skips) this.#makeRoom(start, skb.payloadLength)
    while (skb.payloadLength > 0 && this.#state !== 'closed') {
      if (start < this.#next.position) {
        const known = skb.trimFront(this.#next.position - start)
        this.#duplicateBytes += known
        start += known
        continue
      }
      if (start > this.#next.position) {
        this.#outOfOrder++
        this.#duplicateBytes += this.#queue.insert(skb, start)
        return
      }
      const bytes = Math.min(skb.payloadLength, this.#queue.firstStart - start)
      if (bytes === skb.payloadLength) {
        this.#deliver(skb, bytes)
        this.#drain()
        return
      }
      // What waits came first: of this segment the bytes before it count, and those behind it.
      this.#deliver(skb.splitFront(bytes), bytes)
      this.#drain()
      start += bytes
    }
    skb.free()
  }

  #makeRoom(start: number, bytes: number): void {
    while (start > this.#next.position && !this.#queue.hasRoom(bytes)) {
      this.#skipGap(Math.min(start, this.#queue.firstStart))
    }
  }

  #skipGap(to: number): void {
    this.#gaps++
    const bytes = to - this.#next.position
    this.#gapBytes += bytes
    this.#next.advance(bytes)
    this.#drain()
    this.#endIfDue()
  }

  #drain(): void {
    while (this.#queue.firstStart === this.#next.position) {
      const skb = this.#queue.shift()
      if (skb === undefined) return
      this.#deliver(skb, skb.payloadLength)
    }
  }

  #deliver(skb: AnySkb, bytes: number): void {
    this.#next.advance(bytes)
    this.#bytes += bytes
    this.#sink(skb)
  }

  /** The stream ends there, unless it is known to end before. */
  #endsAt(position: number, state: 'finished' | 'reset'): void {
    if ((position < this.#next.position && !this.#holding) || position >= this.#endAt) return
    this.#endAt = position
    this.#endState = state
    this.#afterEndBytes += this.#queue.cut(position)
  }

  /** Ends the stream where it has come to, if an early reset was for this place and nothing waits behind it. */
  #resetIfDue(): void {
    if (this.#next.position === this.#resetAt && this.#queue.length === 0)
      this.#endsAt(this.#next.position, 'reset')
  }

  #endIfDue(): void {
    if (this.#next.position === this.#endAt && this.#state === 'open') this.#state = this.#endState
  }
}
