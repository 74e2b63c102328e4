/**
 * Frags lent to other threads. The owner keeps a table of them. A borrower returns an entry with one
 * compare-and-swap, and puts it on a list. Many threads may push to that list, and only the owner
 * empties it, all at once (as the kernel's include/linux/llist.h).
 *
 * It is no ring, since a thread that is terminated within a push would leave a gap that blocks a ring.
 * With a list, the thread has pushed or it has not, and the table tells the owner which.
 */

import { ArgumentTypeError, checkInteger, HandleError, LifetimeError } from '../errors.ts'
import { RX_COPYBREAK } from './copies.ts'
import type { Borrower, Lent, PoolShare } from './lent.ts'
import type { PageProvider } from './memory-provider.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_NOT_SHARED: 'LifetimeError'
  }
}

// Words of the table: the head of the list, on a separate cache line, then each entry's state and
// its link, which is the head before it. A head is the number of an entry plus one, or:
const HEAD = 0
const NOTHING = 0
/** An empty list whose owner waits to be notified of the next entry. */
const NOTIFY = -1
const ENTRIES = 16
// An entry's state: free, lent under a stamp (positive), received under it (negative), returned.
const FREE = 0
const RETURNED = -0x8000_0000
const MAX_STAMP = 0x7fff_ffff

function stateOf(entry: number): number {
  return ENTRIES + 2 * entry
}

function linkOf(entry: number): number {
  return ENTRIES + 2 * entry + 1
}

/** A frag that is lent. */
interface Loan {
  readonly borrower: Borrower
  /** Takes the memory back. `abandoned` is true if its thread ended with it. */
  readonly end: (abandoned: boolean) => void
}

/** The owner's side. */
export class Lender {
  readonly share: PoolShare
  readonly #words: Int32Array
  readonly #lends: number
  readonly #memoryOffset: number
  readonly #isWaiting: () => boolean
  /** Frags that are lent, by entry. */
  readonly #loans: (Loan | undefined)[] = []
  readonly #free: number[] = []
  /** Threads that were lent to: true once they have ended. */
  readonly #borrowers = new WeakMap<Borrower, boolean>()
  #stamp = 0
  #waiting = false

  /** @param isWaiting - true if the owner waits for memory, and must be woken when some comes back. */
  constructor(
    memory: NonNullable<PageProvider['shared']>,
    lends: number,
    isWaiting: () => boolean,
  ) {
    const table = new SharedArrayBuffer(4 * (ENTRIES + 2 * lends))
    this.share = { buffer: memory.buffer, table }
    this.#words = new Int32Array(table)
    this.#lends = lends
    this.#memoryOffset = memory.offset
    this.#isWaiting = isWaiting
  }

  /** Frees an entry, if all are lent and some were returned. Wakes waiters, which may do anything. */
  makeRoom(): void {
    if (this.#free.length === 0 && this.#loans.length === this.#lends) this.collect()
  }

  /**
   * Moves `length` bytes of one reference to `borrower`. Returns `undefined` when all entries are lent.
   * `at` counts bytes from the pool's first.
   */
  lend(at: number, length: number, borrower: Borrower, end: Loan['end']): Lent | undefined {
    // Listen before anything is changed: a value that is no thread throws here.
    const ended = this.#hasEnded(borrower)
    const entry = this.#free.pop() ?? this.#loans.length
    if (entry === this.#lends) return undefined
    this.#loans[entry] = { borrower, end }
    // A thread that has ended emits no further `exit`.
    if (ended) queueMicrotask(() => this.#abandon(borrower))
    this.#stamp = this.#stamp === MAX_STAMP ? 1 : this.#stamp + 1
    // A plain store: posting the frag to its thread orders it.
    this.#words[stateOf(entry)] = this.#stamp
    return { kind: 'page', entry, stamp: this.#stamp, offset: this.#memoryOffset + at, length }
  }

  /** True for a thread that has ended. Listens for the end of one that is lent to for the first time. */
  #hasEnded(borrower: Borrower): boolean {
    const ended = this.#borrowers.get(borrower)
    if (ended === undefined) {
      if (typeof borrower?.once !== 'function') {
        throw new ArgumentTypeError(
          'NETMEM_INVALID_ARGUMENT',
          'lend() takes the Worker that the frag is for.',
        )
      }
      borrower.once('exit', () => this.#abandon(borrower))
      this.#borrowers.set(borrower, false)
    }
    return ended === true || borrower.threadId === -1
  }

  /** Takes in all memory that was returned since. Costs one load without any. */
  collect(): void {
    if (Atomics.load(this.#words, HEAD) <= NOTHING) return
    // The thread that was to notify may have been terminated before it did.
    const nothing = this.#waiting ? NOTIFY : NOTHING
    this.#collectFrom(Atomics.exchange(this.#words, HEAD, nothing))
  }

  /** Collects as soon as something comes back, for as long as the owner waits. */
  wakeOwner(): void {
    if (this.#waiting || !this.#isWaiting()) return
    this.#waiting = true
    Atomics.compareExchange(this.#words, HEAD, NOTHING, NOTIFY)
    const result = Atomics.waitAsync(this.#words, HEAD, NOTIFY)
    const woken = (): void => {
      this.#waiting = false
      try {
        this.collect()
      } finally {
        this.wakeOwner()
      }
    }
    if (result.async) void result.value.then(woken)
    else queueMicrotask(woken)
  }

  /** Finishes a list's entries, the others too when one of them cannot be taken back. */
  #collectFrom(first: number): void {
    let next = first
    try {
      while (next > NOTHING) {
        const entry = next - 1
        next = this.#words[linkOf(entry)] ?? 0
        if (this.#words[stateOf(entry)] === RETURNED) this.#finish(entry, false)
      }
    } finally {
      if (next > NOTHING) this.#collectFrom(next)
    }
  }

  #finish(entry: number, abandoned: boolean): void {
    const loan = this.#loans[entry]
    if (loan === undefined) return
    this.#loans[entry] = undefined
    this.#words[stateOf(entry)] = FREE
    this.#free.push(entry)
    loan.end(abandoned)
  }

  /** A thread has ended: what it returned is on the list, all else it had is reclaimed. */
  #abandon(borrower: Borrower): void {
    this.#borrowers.set(borrower, true)
    this.collect()
    for (const [entry, loan] of this.#loans.entries()) {
      if (loan?.borrower === borrower) this.#finish(entry, true)
    }
  }
}

/** Frags that sockets make of a page at the most: a full small buffer is copied to it, and any read may follow. */
function fragsPerPage(pageSize: number): number {
  return Math.max(4, (2 * pageSize) / RX_COPYBREAK)
}

/** @throws NETMEM_NOT_SHARED unless there is shared memory. */
export function createLender(
  memory: PageProvider['shared'],
  { capacity, pageSize }: Pick<PageProvider, 'capacity' | 'pageSize'>,
  lends: number | undefined,
  isWaiting: () => boolean,
): Lender {
  if (memory === undefined) {
    throw new LifetimeError(
      'NETMEM_NOT_SHARED',
      'The memory of this pool belongs to one thread. Make the pool from sharedProvider(), or from externalProvider() over a SharedArrayBuffer.',
    )
  }
  const entries = lends ?? Math.min(capacity * fragsPerPage(pageSize), 2 ** 20)
  return new Lender(memory, checkInteger('lends', entries, 1, 2 ** 20), isWaiting)
}

/**
 * Receives an entry on the borrower's side of the table.
 *
 * @throws NETMEM_STALE_HANDLE unless it is lent under that stamp and not yet received.
 * @throws NETMEM_OUT_OF_RANGE for an entry that the table lacks, or a stamp that it never gives.
 */
export function receiveEntry(words: Int32Array, entry: number, stamp: number): void {
  checkInteger('entry', entry, 0, (words.length - ENTRIES) / 2 - 1)
  checkInteger('stamp', stamp, 1, MAX_STAMP)
  if (Atomics.compareExchange(words, stateOf(entry), stamp, -stamp) !== stamp) throw notLent()
}

/** Gives back an entry that was received, once. */
export function returnEntry(words: Int32Array, entry: number, stamp: number): void {
  if (words[stateOf(entry)] !== -stamp) throw notLent()
  // The receiver alone has the entry, and pushing it orders the store.
  words[stateOf(entry)] = RETURNED
  // One atomic operation in all: a head that was read too early fails the exchange.
  let head = words[HEAD] ?? NOTHING
  for (;;) {
    words[linkOf(entry)] = head
    const seen = Atomics.compareExchange(words, HEAD, head, entry + 1)
    if (seen === head) break
    head = seen
  }
  if (head === NOTIFY) Atomics.notify(words, HEAD)
}

function notLent(): HandleError {
  return new HandleError(
    'NETMEM_STALE_HANDLE',
    'This frag is not lent any more. A lent frag is received once, by one thread, and released once.',
  )
}

/** Error for a frag that is lent before the pool is shared. */
export function notShared(): LifetimeError {
  return new LifetimeError(
    'NETMEM_NOT_SHARED',
    'Call pool.share() before lending, and attachPool() its result in the worker.',
  )
}
