/**
 * The driver: posts memory to one socket and hands filled frags up. Its one rule: an idle, paused
 * or dry connection holds no page, and what it posts is a small buffer of its own. A read that
 * fits that buffer is copied out (rx-copybreak); a read that fills it goes on in a page. It owns
 * the memory that the socket may write next before it hands up what was filled.
 *
 * Memory that JavaScript can move, a destination or the page of a caller's buffer, is posted only
 * where the next read comes before JavaScript runs again, and taken back when it finds nothing.
 * Elsewhere the small buffer is posted and copied. Otherwise the kernel would write to memory that
 * was transferred meanwhile, and belongs to others or to nobody.
 *
 * A long file: one state machine, in which every way of arriving decides what is posted next.
 */

import type { ByteReceivers, FillOptions, Viewer } from '../../connection.ts'
import { ConnectionError, isNetmemError, LifetimeError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import { copiedFrag, type HostFrag, PageFrag, traceDelivery } from '../../pool/frag.ts'
import { FragAccount } from '../../pool/frag-account.ts'
import type { Keeper } from '../../pool/frag-ledger.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { aborted } from '../connection-error.ts'
import { goneMeanwhile, memoryGone } from '../receivers/destination.ts'
import { FragQueue } from '../receivers/frag-queue.ts'
import { Transfer } from '../receivers/transfer.ts'
import { busyPoll } from './busy-poll.ts'
import { FullReads } from './full-reads.ts'
import { type LowWater, LowWaterMark } from './low-water.ts'
import { aligned, PageSupply, type Taker } from './page-supply.ts'
import type { PostedReads, Reader } from './posted-reads.ts'
import type { Resettable } from './reset-watch.ts'
import { putSmallBuffer, takeSmallBuffer } from './small-buffers.ts'

interface Waiter {
  /** Identifies the receiver to {@link SocketDriver.stopStreaming}: an iterator, or a signal. */
  readonly receiver: object | undefined
  readonly resolve: (frag: HostFrag | undefined) => void
  readonly reject: (error: unknown) => void
}

/**
 * What is read ahead of whoever asks frag by frag: so much, in so many pieces. More would help
 * nobody, since the kernel goes on receiving while this thread is busy, and short reads are copies
 * that no pool bounds.
 */
const READ_AHEAD_BYTES = 64 * 1024
const READ_AHEAD_FRAGS = 64

/** Node.js keeps 50 bytes for each buffer that is posted in place of another, until the socket closes. */
const MAX_REPOSTS = 1000

export class SocketDriver implements ByteReceivers, Reader, Resettable, Taker {
  /** Label of the connection in leak reports, set before anything is received. */
  label: string | undefined
  readonly account: FragAccount = new FragAccount()
  readonly #pool: PagePool<Page>
  readonly #supply: PageSupply
  #small: Uint8Array
  /** All of the memory that the small buffer is part of. */
  readonly #whole: Uint8Array
  readonly #burst: number
  /** TLS, which copies to what is posted whenever JavaScript has returned. */
  readonly #secure: boolean
  readonly #lowWater: LowWater | undefined
  #mark: LowWaterMark | undefined
  #reads: PostedReads | undefined

  // The page that is being filled; one reference of it is the driver's.
  #page: Page | undefined
  #keeper: Keeper | undefined
  #offset = 0

  // What the socket was given last, and how many reads there were by then.
  #posted: 'small' | 'record' | 'page' | 'destination' = 'small'
  #record: Uint8Array | undefined
  readonly #fullReads = new FullReads()
  #readCount = 0
  /** A double from the start: a field that outgrows 2^31 changes the driver's shape, and its code is compiled anew. */
  readonly #bytesRead = new Float64Array(1)
  #readCountSeen = -1
  #repostsLeft = MAX_REPOSTS

  // What has arrived and nobody has taken, and who wants more.
  readonly #queue = new FragQueue()
  #waiter: Waiter | undefined
  #transfer: Transfer | undefined
  #viewer: Viewer | undefined
  /** Reads ahead for whoever asks frag by frag. */
  #streaming = false
  #reading = false
  #dry = false
  #discarded = false
  #referenced = true
  /** True once the peer has reset: only data in the kernel is left. */
  #peerGone = false
  #draining: { left: number; readonly enough: () => void } | undefined
  #end: { readonly error: Error | undefined } | undefined

  /**
   * `smallBytes`: the size of the small buffer; a page at the most. `burst`: how many bytes in one
   * read say that more is to come although they did not fill the page.
   */
  constructor(
    pool: PagePool<Page>,
    smallBytes: number,
    burst: number,
    lowWater: LowWater | undefined,
  ) {
    this.#pool = pool
    this.#supply = PageSupply.of(pool)
    this.#whole = takeSmallBuffer()
    this.#small = this.#whole.subarray(0, Math.min(smallBytes, pool.pageSize))
    this.#burst = burst
    this.#secure = Number.isFinite(burst)
    this.#lowWater = lowWater
  }

  /** The socket to read. */
  start(reads: PostedReads): void {
    this.#reads = reads
    if (this.#lowWater !== undefined) {
      this.#mark = new LowWaterMark(this.#lowWater, () => reads.fd())
    }
    reads.socket.once('close', () => {
      this.#mark?.stop()
      this.#small = this.#small.subarray(0, 0)
      putSmallBuffer(this.#whole)
    })
  }

  /** Payload bytes that have arrived, taken or not. */
  get bytesRead(): number {
    return this.#bytesRead[0] ?? 0
  }

  /**
   * The next frag, `undefined` at the end of the stream. One call at a time. `signal` gives up the
   * wait: the connection stays as it is, and the next call gets the frag.
   */
  receive(signal?: AbortSignal): Promise<HostFrag | undefined> {
    if (signal === undefined) {
      return new Promise((resolve, reject) => this.#take(resolve, reject, undefined))
    }
    return new Promise((resolve, reject) => {
      this.#checkFree()
      const giveUp = (): void => this.stopStreaming(signal, aborted(signal.reason))
      const unlisten = (): void => signal.removeEventListener('abort', giveUp)
      signal.addEventListener('abort', giveUp, { once: true })
      this.#take(
        (frag) => {
          unlisten()
          resolve(frag)
        },
        (error) => {
          unlisten()
          reject(error)
        },
        signal,
      )
    })
  }

  /** A frag that has arrived already; `undefined` where {@link receive} would wait, or tell the end. */
  takeArrived(): HostFrag | undefined {
    const frag = this.#queue.shift()
    if (frag !== undefined && this.#streaming) this.#readOn()
    return frag
  }

  /** {@link receive} for an iterator. One promise a frag: this is the hot path of `for await`. */
  next(iterator: object): Promise<IteratorResult<HostFrag, undefined>> {
    return new Promise((resolve, reject) =>
      this.#take(
        (value) => resolve(value === undefined ? { done: true, value } : { done: false, value }),
        reject,
        iterator,
      ),
    )
  }

  /**
   * Stops reading ahead for `receiver`, and ends its wait if it waits: with `error`, or without a
   * frag.
   */
  stopStreaming(receiver: object, error?: Error): void {
    const waiter = this.#waiter
    // Another receiver waits.
    if (waiter !== undefined && waiter.receiver !== receiver) return
    this.#streaming = false
    this.#leaveMemoryQueue()
    this.#waiter = undefined
    if (error === undefined) waiter?.resolve(undefined)
    else waiter?.reject(error)
  }

  /** Waits for memory no more: nobody receives, or what is received needs none of the pool. */
  #leaveMemoryQueue(): void {
    if (!this.#dry) return
    this.#dry = false
    this.account.onRelease = undefined
    this.#supply.leaveQueue(this)
  }

  /** Reads exactly `view.byteLength` bytes into `view`; resolves with their number, or with 0 if it `mayEnd` before. */
  fill(view: Uint8Array, { mayEnd = false, onProgress }: FillOptions = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#checkFree()
      this.#streaming = false
      this.#leaveMemoryQueue()
      if (view.byteLength === 0) {
        resolve(0)
        return
      }
      const transfer = new Transfer(view, mayEnd, onProgress, resolve, reject)
      this.#transfer = transfer
      this.#fillFromQueue(transfer)
      if (this.#transfer === undefined) return
      if (this.#end !== undefined) this.#endTransfer(this.#end.error)
      else this.#readOn()
    })
  }

  /**
   * Shows all that arrives to `viewer`, in place of whoever it was shown to before, until
   * {@link hide}: no frag is made and no promise, which is what a small message costs most.
   */
  show(viewer: Viewer): void {
    this.#viewer = undefined
    this.#checkFree()
    this.#leaveMemoryQueue()
    this.#viewer = viewer
    if (this.#queue.length > 0) this.#showQueue(viewer)
    if (this.#viewer !== viewer) return
    if (this.#end !== undefined) this.#endView(this.#end.error)
    else this.#readOn()
  }

  /** What arrives from now on, and what is left of what is shown just now, is for whoever asks next. */
  hide(): void {
    this.#viewer = undefined
    this.#streaming = true
  }

  /** A frag that holds `bytes`: in a page while there is one, otherwise a copy. */
  fragOf(bytes: Uint8Array): HostFrag {
    const filling = this.#supply.takeFree(bytes.byteLength)
    if (filling === undefined) return copiedFrag(this.#pool, bytes, this.account)
    const { page, keeper, offset } = filling
    const memory = this.#bytesOf(page)
    if (memory === undefined) {
      this.#pool.putFrag(page, keeper)
      return copiedFrag(this.#pool, bytes, this.account)
    }
    memory.set(bytes, offset)
    this.#supply.leave(page, keeper, offset + bytes.byteLength)
    return new PageFrag(this.#pool, page, offset, bytes.byteLength, keeper, this.account)
  }

  /** Fails whoever waits, and everybody after the queue is empty. Undelivered data can still be received. */
  end(error: Error | undefined): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#reading = false
    this.#dropPage()
    this.#supply.leaveQueue(this)
    const waiter = this.#waiter
    this.#waiter = undefined
    if (error === undefined) waiter?.resolve(undefined)
    else waiter?.reject(error)
    this.#endTransfer(error)
    this.#endView(error)
  }

  /** Gives back what nobody has received, and what still arrives. */
  discard(): void {
    this.#discarded = true
    this.#queue.release()
  }

  /**
   * Fails whoever waits, reads on and gives back all that arrives; `enough` is called after so many
   * bytes of it.
   */
  drain(error: Error, bytes: number, enough: () => void): void {
    // What is posted is not the driver's any more.
    if (this.#posted !== 'small' && this.#reads?.repost(this.#small) === true) {
      this.#posted = 'small'
    }
    this.end(error)
    this.discard()
    this.#draining = { left: bytes, enough }
    this.#reading = true
    this.#reads?.resume()
  }

  // Resettable: for a connection that nobody reads.

  get reading(): boolean {
    return this.#reading
  }

  readToEnd(): void {
    this.#peerGone = true
    const socket = this.#reads?.socket
    // The peer had finished sending before it reset: there is nothing to read that would tell.
    if (this.#end !== undefined && socket?.writableEnded === false) {
      socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
    } else {
      this.#readOn()
    }
  }

  // Reader: the socket's side.

  post(): Uint8Array {
    const bytes = this.#destination() ?? this.#restOfPage() ?? this.#owned()
    this.#fullReads.posted(bytes.byteLength)
    return bytes
  }

  arrived(bytes: number): boolean {
    this.#readCount++
    this.#bytesRead[0] = this.bytesRead + bytes
    this.#fullReads.arrived(bytes)
    if (this.#draining !== undefined) return this.#drainedOf(bytes, this.#draining)
    // Which may be done by the time that it is asked how much is left.
    const transfer = this.#transfer
    if (this.#posted === 'page') this.#arrivedInPage(bytes)
    else if (this.#posted === 'destination') this.#arrivedInDestination(bytes)
    else if (this.#posted === 'record') this.#arrivedInOwned(this.#record ?? this.#small, bytes)
    else this.#arrivedInOwned(this.#small, bytes)
    // Once stopped, only resuming starts again: TLS has more to deliver after it was told to stop.
    this.#reading = this.#reading && this.#wantsMore()
    const bulk = this.#posted !== 'small'
    if (bulk) this.#mark?.arrived(bytes, transfer?.left ?? Number.POSITIVE_INFINITY)
    if (!this.#reading) this.#dropPage()
    else if (bulk && this.#mark?.raised !== true) busyPoll()
    return this.#reading
  }

  drained(): Uint8Array | undefined {
    this.#fullReads.drained()
    if (this.#page === undefined && this.#posted === 'small') return undefined
    this.#dropPage()
    const bytes = this.#owned()
    this.#fullReads.posted(bytes.byteLength)
    return bytes
  }

  /**
   * Memory of the driver's own. No more of it than a destination still lacks, so that nothing is
   * read past its end; but TLS reads what it likes, and is given whole records.
   */
  #owned(): Uint8Array {
    const transfer = this.#transfer
    if (this.#secure && transfer?.intact === true && this.#reading) {
      this.#posted = 'record'
      this.#record = transfer.record()
      return this.#record
    }
    this.#posted = 'small'
    const left = transfer?.left ?? this.#small.byteLength
    return left < this.#small.byteLength ? this.#small.subarray(0, left) : this.#small
  }

  /** The error to report in place of the socket's, where it failed because posted memory is gone. */
  explain(error: Error): Error | undefined {
    const code: unknown = Reflect.get(error, 'code')
    // Node.js posts a view without bytes for one that was detached in a microtask.
    if (this.#posted === 'small' || this.#posted === 'record') return undefined
    if (code !== 'ENOBUFS' && code !== 'EFAULT') return undefined
    const transfer = this.#transfer
    if (this.#posted === 'page' || transfer === undefined) return memoryGone()
    return goneMeanwhile(transfer.filled, transfer.length)
  }

  /** The rest of the destination, if it may be posted now. */
  #destination(): Uint8Array | undefined {
    const transfer = this.#transfer
    if (transfer === undefined || !this.#reading || !this.#postsMovable()) return undefined
    const { rest } = transfer
    if (rest.byteLength === 0) return undefined
    this.#dropPage()
    this.#posted = 'destination'
    return rest
  }

  /** The rest of the present page. */
  #restOfPage(): Uint8Array | undefined {
    // It was posted for frags, and a destination is filled without it.
    if (this.#transfer !== undefined) this.#dropPage()
    const page = this.#page
    if (page === undefined) return undefined
    const bytes = this.#bytesOf(page)
    if (bytes === undefined) return undefined
    this.#posted = 'page'
    this.#readCountSeen = -1
    this.#supply.watch(this)
    return this.#offset === 0 ? bytes : bytes.subarray(this.#offset)
  }

  /** The bytes of a page or a frag; `undefined` where its memory is gone, which destroys the connection. */
  #bytesOf(memory: Page | HostFrag): Uint8Array | undefined {
    try {
      return isFrag(memory) ? memory.bytes : this.#pool.bytes(memory)
    } catch (error) {
      this.#dropPage()
      this.#reads?.socket.destroy(goneError(error))
      this.discard()
      return undefined
    }
  }

  /** True if memory that JavaScript can move may be posted now. */
  #postsMovable(): boolean {
    const movable = this.#reads?.movable ?? 'always'
    return movable === 'always' || (movable === 'afterFullRead' && this.#fullReads.readsOn)
  }

  /** True if a page may be posted now. */
  #postsPage(): boolean {
    return this.#reading && (!this.#pool.mayMove || this.#postsMovable())
  }

  #take(answer: Waiter['resolve'], reject: Waiter['reject'], receiver: Waiter['receiver']): void {
    this.#checkFree()
    const resolve = this.#pool.ledger.tracing ? traceDelivery(answer, this.label) : answer
    const frag = this.takeArrived()
    if (frag !== undefined) {
      resolve(frag)
    } else if (this.#end === undefined) {
      this.#waiter = { resolve, reject, receiver }
      this.#streaming = true
      this.#readOn()
    } else if (this.#end.error === undefined) {
      resolve(undefined)
    } else {
      reject(this.#end.error)
    }
  }

  // Taker: the page supply's side.

  get referenced(): boolean {
    return this.#referenced
  }

  /** Keeps the process alive while the connection waits for memory, or lets it end. */
  set referenced(referenced: boolean) {
    this.#referenced = referenced
    this.#supply.referenceChanged()
  }

  memoryBack(): void {
    this.#dry = false
    if (this.#pool.destroyed) {
      this.#reads?.socket.destroy(
        new LifetimeError(
          'NETMEM_POOL_DESTROYED',
          'The pool of this connection was destroyed while it waited for memory.',
        ),
      )
    } else {
      this.#readOn()
    }
  }

  copyRoomBack(): void {
    this.#readOn()
  }

  stillReading(): boolean {
    if (this.#posted !== 'page' || this.#page === undefined) return false
    if (this.#readCountSeen !== this.#readCount) {
      this.#readCountSeen = this.#readCount
      return true
    }
    // A page was posted after a read that happened to be the last one for now.
    if (this.#reads?.repost(this.#small) === true) {
      this.#repostsLeft--
      this.drained()
    }
    return false
  }

  #arrivedInPage(bytes: number): void {
    const page = this.#page
    const keeper = this.#keeper
    if (page === undefined || keeper === undefined) return
    const offset = this.#offset
    const end = aligned(offset + bytes)
    if (bytes >= this.#burst && end < this.#pool.pageSize && this.#repostsLeft > 0) {
      this.#offset = end
      this.#pool.ref(page)
      this.#deliver(new PageFrag(this.#pool, page, offset, bytes, keeper, this.account))
      return
    }
    // The driver's reference goes to the frag; what is left of the page, to the next read that needs one.
    this.#page = undefined
    if (end < this.#pool.pageSize) this.#supply.leave(page, keeper, end)
    this.#deliver(new PageFrag(this.#pool, page, offset, bytes, keeper, this.account))
    const goesOn = end === this.#pool.pageSize && this.#postsPage() && this.#wantsMore()
    if (goesOn && this.#transfer === undefined && this.#repostsLeft > 0) this.#takePage(end)
  }

  #arrivedInOwned(owned: Uint8Array, bytes: number): void {
    const transfer = this.#transfer
    let from = 0
    if (this.#viewer !== undefined) {
      from = this.#viewer.view(owned.subarray(0, bytes))
      if (from === bytes) return
    } else if (transfer !== undefined) {
      from = transfer.copy(owned, bytes)
      this.#advance(transfer, from)
      if (from === bytes) return
    }
    const rest = bytes - from
    const full = owned === this.#small && rest === owned.byteLength
    const copies = !full && (this.#supply.mayCopy || rest > this.#pool.pageSize)
    if (copies || !this.#takePage(rest)) {
      this.#deliver(copiedFrag(this.#pool, owned.subarray(from, bytes), this.account))
      return
    }
    const page = this.#page
    const keeper = this.#keeper
    if (page === undefined || keeper === undefined) return
    const memory = this.#bytesOf(page)
    if (memory === undefined) return
    const offset = this.#offset
    const end = aligned(offset + rest)
    memory.set(owned.subarray(from, bytes), offset)
    this.#offset = end
    if (full && end < this.#pool.pageSize && this.#postsPage() && this.#repostsLeft > 0) {
      this.#pool.ref(page)
    } else {
      this.#page = undefined
      if (end < this.#pool.pageSize) this.#supply.leave(page, keeper, end)
    }
    this.#deliver(new PageFrag(this.#pool, page, offset, rest, keeper, this.account))
  }

  #arrivedInDestination(bytes: number): void {
    if (this.#transfer !== undefined) this.#advance(this.#transfer, bytes)
  }

  #advance(transfer: Transfer, bytes: number): void {
    transfer.filled += bytes
    if (!transfer.intact) {
      const error = goneMeanwhile(transfer.filled, transfer.length)
      this.#breakOff(transfer, error, error)
      return
    }
    try {
      transfer.onProgress?.(transfer.filled)
    } catch (cause) {
      const message = 'onProgress threw; the connection was destroyed with the transfer incomplete.'
      this.#breakOff(transfer, cause, new ConnectionError('NETMEM_ABORTED', message, { cause }))
      return
    }
    if (transfer.filled === transfer.length) {
      this.#transfer = undefined
      transfer.resolve(transfer.filled)
    }
  }

  /** Fails the transfer at once, and the connection with it: nobody knows any more where the stream stands. */
  #breakOff(transfer: Transfer, reason: unknown, error: Error): void {
    this.#transfer = undefined
    this.#reads?.socket.destroy(error)
    this.discard()
    transfer.reject(reason)
  }

  #deliver(frag: HostFrag): void {
    const waiter = this.#waiter
    if (waiter !== undefined) {
      this.#waiter = undefined
      waiter.resolve(frag)
    } else if (this.#discarded) {
      frag.release()
    } else {
      this.#queue.push(frag)
      // It came in a page.
      if (this.#viewer !== undefined) this.#showQueue(this.#viewer)
      // It went to a page that was posted before somebody had a destination.
      if (this.#transfer !== undefined) this.#fillFromQueue(this.#transfer)
    }
  }

  /** Shows what was read for somebody else, or into a page, as long as it is the viewer's. */
  #showQueue(viewer: Viewer): void {
    let frag = this.#queue.shift()
    while (frag !== undefined) {
      const bytes = this.#bytesOf(frag)
      if (bytes === undefined) {
        frag.release()
        return
      }
      const taken = viewer.view(bytes)
      if (taken < frag.length) {
        const rest = taken === 0 ? frag : frag.slice(taken)
        if (rest !== frag) frag.release()
        if (this.#discarded) rest.release()
        else this.#queue.unshift(rest)
        return
      }
      frag.release()
      frag = this.#viewer === viewer ? this.#queue.shift() : undefined
    }
  }

  #endView(error: Error | undefined): void {
    const viewer = this.#viewer
    this.#viewer = undefined
    viewer?.viewEnded(error)
  }

  #fillFromQueue(transfer: Transfer): void {
    while (this.#transfer === transfer && this.#queue.length > 0) {
      let bytes: number
      try {
        bytes = this.#queue.copyTo(transfer.rest)
      } catch (error) {
        this.#breakOff(transfer, goneError(error), goneError(error))
        return
      }
      this.#advance(transfer, bytes)
    }
  }

  #endTransfer(error: Error | undefined): void {
    const transfer = this.#transfer
    this.#transfer = undefined
    transfer?.end(error)
  }

  #drainedOf(bytes: number, draining: { left: number; readonly enough: () => void }): boolean {
    draining.left -= bytes
    this.#reading = draining.left > 0
    if (!this.#reading) draining.enough()
    return this.#reading
  }

  #wantsMore(): boolean {
    if (this.#end !== undefined) return false
    // Needs no memory of the pool.
    if (this.#transfer !== undefined || this.#viewer !== undefined) return true
    const ahead =
      this.#streaming &&
      this.#queue.bytes < Math.min(READ_AHEAD_BYTES, this.#pool.pageSize) &&
      this.#queue.length < READ_AHEAD_FRAGS
    return (ahead || this.#peerGone) && this.#hasMemory()
  }

  /** True if there is memory for what the next read brings. If not, reading goes on when some came back. */
  #hasMemory(): boolean {
    // The next read goes to the page.
    if (this.#page !== undefined || this.#supply.mayRead(this, this.#dry)) {
      this.account.onRelease = undefined
      return true
    }
    this.account.onRelease = this.#readOnReleased
    if (this.#dry) return false
    this.#dry = true
    this.#supply.wait(this)
    return false
  }

  readonly #readOnReleased = (): void => this.#readOn()

  #readOn(): void {
    if (this.#reading || this.#reads === undefined || !this.#wantsMore()) return
    this.#reading = true
    this.#reads.resume()
  }

  /** Makes a page the present one; queues up for memory if there is none. */
  #takePage(room: number): boolean {
    const filling = this.#dry ? undefined : this.#supply.take(this, room)
    if (filling === undefined) {
      this.#dry = true
      return false
    }
    this.#page = filling.page
    this.#keeper = filling.keeper
    this.#offset = filling.offset
    return true
  }

  /** Puts the driver's reference of the present page. */
  #dropPage(): void {
    const page = this.#page
    const keeper = this.#keeper
    if (page === undefined || keeper === undefined) return
    this.#page = undefined
    if (this.#offset > 0) this.#supply.leave(page, keeper, this.#offset)
    this.#pool.putFrag(page, keeper)
  }

  #checkFree(): void {
    if (this.#waiter !== undefined || this.#transfer !== undefined || this.#viewer !== undefined) {
      throw new LifetimeError(
        'NETMEM_BUSY',
        'Somebody is receiving from this connection already; await that first.',
      )
    }
  }
}

function isFrag(memory: Page | HostFrag): memory is HostFrag {
  return typeof memory === 'object' && 'bytes' in memory
}

/** What the engine throws of memory that is gone has no code. */
function goneError(error: unknown): Error {
  return isNetmemError(error) ? error : memoryGone()
}
