/**
 * The driver: posts memory to one socket and hands filled frags up. Its one rule: an idle, paused
 * or dry connection holds no page, and what it posts is a small buffer of its own. A read that
 * fits that buffer is copied out (rx-copybreak); a read that fills it goes on in a page. It owns
 * the memory that the socket may write next before it hands up what was filled.
 */

import { ArgumentTypeError, ConnectionError, LifetimeError } from '../errors.ts'
import type { Page } from '../netmem.ts'
import { copiedFrag, type HostFrag, PageFrag } from '../pool/frag.ts'
import type { Keeper } from '../pool/frag-ledger.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { PageSupply, type Taker } from './page-supply.ts'
import type { PostedReads, Reader } from './posted-reads.ts'

/** Memory that the next bytes of the stream go to, whatever the pool has. */
interface Destination {
  readonly view: Uint8Array
  /** Bytes of `view`, to tell whether it was detached or shrunk. */
  readonly length: number
  filled: number
  /** Whether the stream may end before the first byte. */
  readonly mayEnd: boolean
  readonly onProgress: ((bytes: number) => void) | undefined
  readonly resolve: (bytes: number) => void
  readonly reject: (error: unknown) => void
}

interface Waiter {
  readonly resolve: (frag: HostFrag | undefined) => void
  readonly reject: (error: unknown) => void
}

export class SocketDriver implements Reader, Taker {
  readonly #pool: PagePool<Page>
  readonly #supply: PageSupply
  readonly #small: Uint8Array
  readonly #burst: number
  #reads: PostedReads | undefined

  // The page that is being filled; one reference of it is the driver's.
  #page: Page | undefined
  #keeper: Keeper | undefined
  #offset = 0

  // What the socket was given last, and how many reads there were by then.
  #posted: 'small' | 'page' | 'destination' = 'small'
  #readCount = 0
  #readCountSeen = -1

  // What has arrived and nobody has taken, and who wants more.
  readonly #queue: HostFrag[] = []
  #queuedBytes = 0
  #waiter: Waiter | undefined
  #destination: Destination | undefined
  /** Reads ahead for whoever asks frag by frag. */
  #streaming = false
  #reading = false
  #dry = false
  #end: { readonly error: Error | undefined } | undefined

  /**
   * `smallBytes`: the size of the small buffer; a page at the most. `burst`: how many bytes in one
   * read say that more is to come although they did not fill the page.
   */
  constructor(pool: PagePool<Page>, smallBytes: number, burst: number) {
    this.#pool = pool
    this.#supply = PageSupply.of(pool)
    this.#small = new Uint8Array(Math.min(smallBytes, pool.pageSize))
    this.#burst = burst
  }

  /** The socket to read. */
  start(reads: PostedReads): void {
    this.#reads = reads
  }

  /** The next frag, `undefined` at the end of the stream. One call at a time. */
  receive(): Promise<HostFrag | undefined> {
    this.#checkFree()
    const frag = this.#queue.shift()
    if (frag !== undefined) {
      this.#queuedBytes -= frag.length
      if (this.#streaming) this.#readOn()
      return Promise.resolve(frag)
    }
    if (this.#end !== undefined) {
      return this.#end.error === undefined
        ? Promise.resolve(undefined)
        : Promise.reject(this.#end.error)
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#streaming = true
      this.#readOn()
    })
  }

  /** Stops reading ahead: whoever asked frag by frag does not any more. */
  stopStreaming(): void {
    this.#streaming = false
  }

  /** Reads exactly `view.byteLength` bytes into `view`; resolves with their number, or with 0 if it `mayEnd` before. */
  receiveInto(
    view: Uint8Array,
    mayEnd: boolean,
    onProgress: ((bytes: number) => void) | undefined,
  ): Promise<number> {
    this.#checkFree()
    this.#streaming = false
    const length = view.byteLength
    if (length === 0) return Promise.resolve(0)
    return new Promise((resolve, reject) => {
      const destination = { view, length, filled: 0, mayEnd, onProgress, resolve, reject }
      this.#destination = destination
      this.#fillFromQueue(destination)
      if (this.#destination === undefined) return
      if (this.#end !== undefined) this.#failDestination(this.#end.error)
      else this.#readOn()
    })
  }

  /** A frag that holds `bytes`: in a page while there is one, otherwise a copy. */
  intoPage(bytes: Uint8Array): HostFrag {
    const filling = this.#supply.takeFree(bytes.byteLength)
    if (filling === undefined) return copiedFrag(this.#pool, bytes)
    const { page, keeper, offset } = filling
    this.#pool.bytes(page).set(bytes, offset)
    this.#supply.leave(page, keeper, offset + bytes.byteLength)
    return new PageFrag(this.#pool, page, offset, bytes.byteLength, keeper)
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
    if (this.#destination !== undefined) this.#failDestination(error)
  }

  /** Gives back what nobody has received. */
  discard(): void {
    for (const frag of this.#queue.splice(0)) frag.release()
    this.#queuedBytes = 0
  }

  // Reader: the socket's side.

  post(): Uint8Array {
    const destination = this.#destination
    if (this.#reading && destination !== undefined && intact(destination)) {
      this.#posted = 'destination'
      return destination.filled === 0
        ? destination.view
        : destination.view.subarray(destination.filled)
    }
    const page = this.#page
    if (page !== undefined) {
      if (this.#reading) {
        this.#posted = 'page'
        this.#readCountSeen = -1
        this.#supply.watch(this)
        const bytes = this.#pool.bytes(page)
        return this.#offset === 0 ? bytes : bytes.subarray(this.#offset)
      }
      this.#dropPage()
    }
    this.#posted = 'small'
    return this.#small
  }

  arrived(bytes: number): boolean {
    this.#readCount++
    if (this.#posted === 'page') this.#arrivedInPage(bytes)
    else if (this.#posted === 'destination') this.#arrivedInDestination(bytes)
    else this.#arrivedInSmall(bytes)
    // Once stopped, only resuming starts again: TLS has more to deliver after it was told to stop.
    this.#reading = this.#reading && this.#wantsMore()
    return this.#reading
  }

  // Taker: the page supply's side.

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

  stillReading(): boolean {
    if (this.#posted !== 'page' || this.#page === undefined) return false
    if (this.#readCountSeen !== this.#readCount) {
      this.#readCountSeen = this.#readCount
      return true
    }
    // A page was posted after a read that happened to be the last one for now.
    if (this.#reads?.repost(this.#small) === true) {
      this.#posted = 'small'
      this.#dropPage()
    }
    return false
  }

  #arrivedInPage(bytes: number): void {
    const page = this.#page
    const keeper = this.#keeper
    if (page === undefined || keeper === undefined) return
    const offset = this.#offset
    const end = offset + bytes
    if (bytes >= this.#burst && end < this.#pool.pageSize) {
      this.#offset = end
      this.#pool.ref(page)
      this.#deliver(new PageFrag(this.#pool, page, offset, bytes, keeper))
      return
    }
    // The driver's reference goes to the frag; what is left of the page, to the next read that needs one.
    this.#page = undefined
    if (end < this.#pool.pageSize) this.#supply.leave(page, keeper, end)
    this.#deliver(new PageFrag(this.#pool, page, offset, bytes, keeper))
    if (end === this.#pool.pageSize && this.#wantsMore()) this.#takePage(end)
  }

  #arrivedInSmall(bytes: number): void {
    const small = this.#small
    const destination = this.#destination
    let from = 0
    if (destination !== undefined) {
      from = intact(destination) ? Math.min(bytes, destination.length - destination.filled) : 0
      if (from > 0) destination.view.set(small.subarray(0, from), destination.filled)
      this.#advance(destination, from)
      if (from === bytes) return
    }
    const rest = bytes - from
    if (rest < small.byteLength || !this.#takePage(rest)) {
      this.#deliver(copiedFrag(this.#pool, small.subarray(from, bytes)))
      return
    }
    const page = this.#page
    const keeper = this.#keeper
    if (page === undefined || keeper === undefined) return
    const offset = this.#offset
    this.#pool.bytes(page).set(small, offset)
    this.#offset = offset + rest
    if (this.#offset < this.#pool.pageSize) this.#pool.ref(page)
    else this.#page = undefined
    this.#deliver(new PageFrag(this.#pool, page, offset, rest, keeper))
  }

  #arrivedInDestination(bytes: number): void {
    const destination = this.#destination
    if (destination !== undefined) this.#advance(destination, bytes)
  }

  #advance(destination: Destination, bytes: number): void {
    destination.filled += bytes
    if (!intact(destination)) {
      this.#reads?.socket.destroy(detached(destination))
      return
    }
    destination.onProgress?.(destination.filled)
    if (destination.filled === destination.length) {
      this.#destination = undefined
      destination.resolve(destination.filled)
    }
  }

  #deliver(frag: HostFrag): void {
    const waiter = this.#waiter
    if (waiter !== undefined) {
      this.#waiter = undefined
      waiter.resolve(frag)
      return
    }
    this.#queue.push(frag)
    this.#queuedBytes += frag.length
  }

  #fillFromQueue(destination: Destination): void {
    while (this.#destination === destination) {
      const frag = this.#queue.shift()
      if (frag === undefined) return
      this.#queuedBytes -= frag.length
      const wanted = destination.length - destination.filled
      const taken = Math.min(frag.length, wanted)
      destination.view.set(frag.bytes.subarray(0, taken), destination.filled)
      if (taken < frag.length) {
        const rest = frag.slice(taken)
        this.#queue.unshift(rest)
        this.#queuedBytes += rest.length
      }
      frag.release()
      this.#advance(destination, taken)
    }
  }

  #failDestination(error: Error | undefined): void {
    const destination = this.#destination
    if (destination === undefined) return
    this.#destination = undefined
    if (error === undefined && destination.mayEnd && destination.filled === 0) {
      destination.resolve(0)
      return
    }
    destination.reject(
      error ??
        new ConnectionError(
          'NETMEM_ENDED_EARLY',
          `The peer ended the stream after ${destination.filled} of ${destination.length} bytes.`,
        ),
    )
  }

  #wantsMore(): boolean {
    if (this.#dry || this.#end !== undefined) return false
    if (this.#destination !== undefined) return true
    return this.#streaming && this.#queuedBytes < this.#pool.pageSize
  }

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
    if (this.#waiter !== undefined || this.#destination !== undefined) {
      throw new LifetimeError(
        'NETMEM_BUSY',
        'Somebody is receiving from this connection already; await that first.',
      )
    }
  }
}

function intact(destination: Destination): boolean {
  return destination.view.byteLength === destination.length
}

function detached(destination: Destination): ArgumentTypeError {
  return new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    `The destination was detached or shrunk after ${destination.filled} of ${destination.length} bytes. Keep it where it is until the transfer is done.`,
  )
}
