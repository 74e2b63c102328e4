/**
 * The driver: posts memory to one socket, and passes arrived bytes to its receiver. An idle, paused or
 * dry connection holds no page: the driver posts a small buffer of its own. A read that fits that buffer
 * is copied out (rx-copybreak). A read that fills it continues in a page. The driver owns the memory that
 * the socket may write next before it passes on what was filled.
 *
 * Memory that JavaScript can move is posted only where the next read comes before JavaScript runs
 * again, and taken back when that read finds nothing. Elsewhere the small buffer is posted and
 * copied. Otherwise the kernel would write to memory that has changed hands.
 */

import type { FillOptions, HostReceivers, Viewer } from '../../connection.ts'
import { LifetimeError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import type { HostFrag } from '../../pool/frag.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { invalid } from '../arguments.ts'
import { Destination } from '../receivers/destination.ts'
import { poolGone } from '../receivers/destination-memory.ts'
import { Frags } from '../receivers/frags.ts'
import type { Receiver, ReceiverDriver, Wants } from '../receivers/receiver.ts'
import { View } from '../receivers/view.ts'
import { busyPoll } from './busy-poll.ts'
import { FullReads } from './full-reads.ts'
import { type PagePoster, watchPostedPage } from './page-watch.ts'
import type { PostedReads, Reader } from './posted-reads.ts'
import type { Resettable } from './reset-watch.ts'
import { putSmallBuffer, takeSmallBuffer } from './small-buffers.ts'
import { LowWaterMark, type WakeBatching } from './wake-batching.ts'

/** Node.js keeps 50 bytes for each buffer that is posted in place of another, until the socket closes. */
const MAX_REPOSTS = 1000

export class SocketDriver implements HostReceivers, ReceiverDriver, Reader, Resettable, PagePoster {
  readonly frags: Frags
  #current: Receiver
  #wants: Wants = 'nothing'
  #small: Uint8Array
  /** All of the memory that the small buffer is part of. */
  readonly #whole: Uint8Array
  /** TLS, which copies to what is posted whenever JavaScript has returned. */
  readonly #secure: boolean
  readonly #wakeBatching: WakeBatching | undefined
  #mark: LowWaterMark | undefined
  #reads: PostedReads | undefined

  // The memory that was posted last, and the receiver that gave it. `undefined`: the small buffer.
  #memory: Uint8Array
  #owner: Receiver | undefined
  readonly #fullReads = new FullReads()
  #readCount = 0
  #readCountSeen = -1
  #repostsLeft = MAX_REPOSTS
  /** A double from the start: a field that outgrows 2^31 changes the driver's shape, and its code is compiled anew. */
  readonly #bytesRead = new Float64Array(1)

  /**
   * @param smallBytes - size of the small buffer, a page at the most.
   * @param burst - bytes of one read after which more is expected although the page is not full.
   */
  constructor(
    pool: PagePool<Page>,
    smallBytes: number,
    burst: number,
    wakeBatching: WakeBatching | undefined,
  ) {
    this.frags = new Frags(pool, burst, this)
    this.#current = this.frags
    this.#whole = takeSmallBuffer()
    this.#small = this.#whole.subarray(0, Math.min(smallBytes, pool.pageSize))
    this.#memory = this.#small
    this.#secure = Number.isFinite(burst)
    this.#wakeBatching = wakeBatching
  }

  /** Starts to read `reads`. Called once. */
  start(reads: PostedReads): void {
    this.#reads = reads
    if (this.#wakeBatching !== undefined) {
      this.#mark = new LowWaterMark(this.#wakeBatching, () => reads.fd())
    }
    reads.socket.once('close', () => {
      this.#mark?.stop()
      this.#small = this.#small.subarray(0, 0)
      putSmallBuffer(this.#whole)
    })
  }

  /** Payload bytes that have arrived, received or not. */
  get bytesRead(): number {
    return this.#bytesRead[0] ?? 0
  }

  /** Notifies the receivers of the end of the stream. Data that has arrived can still be received. */
  end(error: Error | undefined): void {
    if (this.frags.ended !== undefined) return
    const receiver = this.#current
    this.#current = this.frags
    this.#wants = 'nothing'
    this.frags.end(error)
    if (receiver !== this.frags) receiver.end(error)
  }

  /** Ends as {@link end}, then shows all that still arrives to `viewer`, which takes all of it. */
  drain(error: Error, viewer: Viewer): void {
    // Posted memory of a receiver is not the driver's any more.
    if (this.#owner !== undefined) this.#takeBack()
    this.end(error)
    this.frags.discard()
    this.#current = new View(viewer)
    this.readOn()
  }

  /** The error to report in place of the socket's, if it failed because posted memory is gone. */
  explain(error: Error): Error | undefined {
    const code: unknown = Reflect.get(error, 'code')
    // Node.js posts a view without bytes for one that was detached in a microtask.
    if (this.#owner === undefined || (code !== 'ENOBUFS' && code !== 'EFAULT')) return undefined
    return this.#owner instanceof Destination ? this.#owner.gone : poolGone()
  }

  // HostReceivers: one at a time.

  fill(view: Uint8Array, options: FillOptions = {}): Promise<number> {
    return new Promise((resolve) => {
      if (!(view instanceof Uint8Array)) throw invalid('fill() takes a Uint8Array.')
      this.checkFree()
      // Copied data goes straight to its destination, and so does data of TLS.
      const inRecords = this.#secure && this.#reads?.movable !== 'always'
      if (view.byteLength === 0) {
        this.frags.pause()
        resolve(0)
      } else {
        this.#attach(new Destination(this, view, inRecords, options, resolve))
      }
    })
  }

  show(viewer: Viewer): void {
    if (typeof viewer?.view !== 'function' || typeof viewer.viewEnded !== 'function') {
      throw invalid('show() takes a viewer: an object with the methods view() and viewEnded().')
    }
    if (this.#current instanceof View) this.#current = this.frags
    this.checkFree()
    this.#attach(new View(viewer))
  }

  hide(): void {
    this.#current = this.frags
    this.frags.resume()
  }

  takeArrived(): HostFrag | undefined {
    return this.frags.takeArrived()
  }

  fragOf(bytes: Uint8Array): HostFrag {
    if (!(bytes instanceof Uint8Array)) throw invalid('fragOf() takes a Uint8Array.')
    return this.frags.fill.fragOf(bytes)
  }

  // ReceiverDriver: what receivers ask.

  get postsPages(): boolean {
    if (this.#current !== this.frags || this.#repostsLeft === 0) return false
    return this.#posts(this.#wants)
  }

  checkFree(): void {
    if (this.frags.ended !== undefined) return
    if (this.#current === this.frags && !this.frags.waiting) return
    throw new LifetimeError(
      'NETMEM_BUSY',
      'Another call is receiving from this connection. Await it first.',
    )
  }

  readOn(): void {
    if (this.#wants !== 'nothing' || this.#reads === undefined) return
    this.#wants = this.#current.wants()
    if (this.#wants !== 'nothing') this.#reads.resume()
  }

  fail(error: Error): void {
    this.#reads?.socket.destroy(error)
  }

  abandon(error: Error): void {
    this.end(error)
    this.frags.discard()
    this.fail(error)
  }

  // Resettable: a connection that is not being read.

  get reading(): boolean {
    return this.#wants !== 'nothing'
  }

  readToEnd(): void {
    this.frags.readsToEnd = true
    const socket = this.#reads?.socket
    // The peer had finished sending before it reset, so a read cannot show the reset.
    if (this.frags.ended !== undefined && socket?.writableEnded === false) {
      socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
    } else {
      this.readOn()
    }
  }

  // Reader: the socket's side.

  post(): Uint8Array {
    const receiver = this.#current
    const memory = this.#posts(this.#wants) ? receiver.memory() : undefined
    if (memory === undefined) return this.#postSmall()
    if (receiver === this.frags) {
      this.#readCountSeen = -1
      watchPostedPage(this)
    } else {
      this.frags.fill.drop()
    }
    this.#owner = receiver
    this.#memory = memory
    this.#fullReads.posted(memory.byteLength)
    return memory
  }

  arrived(bytes: number): boolean {
    this.#readCount++
    this.#bytesRead[0] = this.bytesRead + bytes
    this.#fullReads.arrived(bytes)
    // The calls below may replace the receiver.
    const receiver = this.#current
    const owner = this.#owner
    if (receiver === this.frags || owner === this.frags) {
      this.frags.arrived(bytes, owner === this.frags ? undefined : this.#small)
      if (receiver !== this.frags) this.#offerQueue(receiver)
    } else {
      const taken = receiver.arrived(bytes, owner === receiver ? undefined : this.#memory)
      if (taken < bytes) {
        this.frags.takeRest(this.#memory.subarray(taken, bytes))
      }
      this.#finish(receiver, taken < bytes)
    }
    // A stop ends by `resume` alone. TLS delivers more bytes after a stop.
    if (this.#wants !== 'nothing') this.#wants = this.#current.wants()
    if (owner !== undefined) this.#mark?.arrived(bytes, receiver.left)
    if (this.#wants === 'nothing') this.frags.fill.drop()
    else if (owner !== undefined && this.#mark?.raised !== true) busyPoll()
    return this.#wants !== 'nothing'
  }

  drained(): Uint8Array | undefined {
    this.#fullReads.drained()
    if (this.#owner === undefined && this.frags.fill.page === undefined) return undefined
    return this.#postSmall()
  }

  // PagePoster: a page may have been posted after the last read for now.

  stillReading(): boolean {
    if (this.#owner !== this.frags || this.frags.fill.page === undefined) return false
    if (this.#readCountSeen !== this.#readCount) {
      this.#readCountSeen = this.#readCount
      return true
    }
    this.#takeBack()
    return false
  }

  /** Makes `receiver` the current one: it gets what is queued first, then what arrives. */
  #attach(receiver: Receiver): void {
    this.frags.pause()
    this.#current = receiver
    this.#offerQueue(receiver)
    if (this.#current !== receiver) return
    const { ended } = this.frags
    if (ended !== undefined) {
      this.#current = this.frags
      receiver.end(ended.error)
    } else if (this.#wants !== 'nothing') {
      this.#wants = receiver.wants()
    } else {
      this.readOn()
    }
  }

  #offerQueue(receiver: Receiver): void {
    while (this.#current === receiver && this.frags.offerTo(receiver)) {
      this.#finish(receiver, false)
    }
  }

  /** Drops a receiver that takes no more. */
  #finish(receiver: Receiver, leaves: boolean): void {
    if (this.#current === receiver && (leaves || receiver.left <= 0)) this.#current = this.frags
  }

  /** True if memory of the current receiver may be posted now. */
  #posts(wants: Wants): boolean {
    if (wants !== 'afterFullRead') return wants === 'anything'
    const movable = this.#reads?.movable ?? 'always'
    return movable === 'always' || (movable === 'afterFullRead' && this.#fullReads.readsOn)
  }

  /**
   * The part of the small buffer to post. It has at most the bytes that the receiver lacks, so that no
   * read passes the receiver's end.
   */
  get #smallPart(): Uint8Array {
    const { left } = this.#current
    const limited = left > 0 && left < this.#small.byteLength
    return limited ? this.#small.subarray(0, left) : this.#small
  }

  #postSmall(): Uint8Array {
    this.frags.fill.drop()
    const bytes = this.#smallPart
    this.#owner = undefined
    this.#memory = this.#small
    this.#fullReads.posted(bytes.byteLength)
    return bytes
  }

  /** Posts the small buffer in place of a receiver's memory, which is still empty. */
  #takeBack(): void {
    if (this.#reads?.repost(this.#smallPart) !== true) return
    this.#repostsLeft--
    this.#fullReads.drained()
    this.#postSmall()
  }
}
