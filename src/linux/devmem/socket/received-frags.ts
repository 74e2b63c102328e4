/** Receivers of a devmem connection: one waits at a time, and is given frags as they are read. */

import type { ReceiveOptions } from '../../../connection.ts'
import { ownOptions } from '../../../errors.ts'
import { aborted, checkSignal, rejectedAtCaller } from '../../../net/internal.ts'
import type { Page } from '../../../netmem.ts'
import type { Frag } from '../../../pool/frag.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { POLLERR } from '../../sys/index.ts'
import type { FragReader } from './frag-reader.ts'
import type { DevmemIo } from './kernel-io.ts'
import { poolDestroyed, receiverBusy, socketError } from './socket-error.ts'
import { tracedDelivery } from './token-frag.ts'

/** Reads that may follow each other before other connections and timers get a turn. */
const READS_PER_TURN = 16

/** A connection as its receivers need it. */
export interface ReceiveOwner {
  /** Called at the end of the stream. */
  ended(): void
  /** Ends the connection for a failure. */
  fail(error: Error): void
  /** Empties the error queue: a socket with messages there is always ready. */
  reap(): number
}

interface DevmemWaiter {
  /** Iterator or signal of the caller. */
  readonly caller: object | undefined
  readonly resolve: (frag: Frag | undefined) => void
  readonly fail: (failed: Promise<never>) => void
}

export class ReceivedFrags {
  readonly #io: DevmemIo
  readonly #reader: FragReader
  readonly #pool: PagePool<Page>
  readonly #owner: ReceiveOwner
  /** End of the stream, once it is known. The error is `undefined` if the peer has finished. */
  #over: { readonly error: Error | undefined } | undefined
  #waiter: DevmemWaiter | undefined
  #readsThisTurn = 0
  #isWaiting = false

  constructor(io: DevmemIo, reader: FragReader, pool: PagePool<Page>, owner: ReceiveOwner) {
    this.#io = io
    this.#reader = reader
    this.#pool = pool
    this.#owner = owner
  }

  receive(options?: ReceiveOptions): Promise<Frag | undefined> {
    if (options !== undefined) return this.#receiveUnlessAborted(options)
    const frag = this.#arrived()
    if (frag !== undefined) return Promise.resolve(frag)
    return new Promise((resolve) => this.#take(resolve, resolve, undefined))
  }

  iterate(): AsyncIterator<Frag, undefined, void> {
    const received = this
    return {
      // One promise a frag, and no closure where it has arrived: this is the hot path of `for await`.
      next() {
        const frag = received.#arrived()
        if (frag !== undefined) return Promise.resolve({ done: false, value: frag })
        return new Promise((resolve) => {
          received.#take(
            (value) =>
              resolve(value === undefined ? { done: true, value } : { done: false, value }),
            resolve,
            this,
          )
        })
      },
      return() {
        received.#stopWaiting(this)
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  /** Returns a frag that has been read, or `undefined` without one, while a receiver waits, or is traced. */
  #arrived(): Frag | undefined {
    if (this.#waiter !== undefined || this.#pool.copies.tracing) return undefined
    return this.#reader.take()
  }

  /** Notes the end of the stream, unless it is known. Frags that have arrived can still be received. */
  end(error: Error | undefined): void {
    this.#over ??= { error }
  }

  /** Reads all that has arrived, as far as the pool has memory for it. */
  readAll(): void {
    while (this.#over === undefined && !this.#reader.dry && this.read());
  }

  async #receiveUnlessAborted(options: ReceiveOptions): Promise<Frag | undefined> {
    const { signal } = ownOptions('receive()', options, { signal: true })
    checkSignal(signal)
    if (signal === undefined) return this.receive()
    if (signal.aborted) throw aborted(signal.reason)
    const giveUp = (): void => this.#stopWaiting(signal, aborted(signal.reason))
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await new Promise<Frag | undefined>((resolve) => this.#take(resolve, resolve, signal))
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  #take(
    resolve: DevmemWaiter['resolve'],
    fail: DevmemWaiter['fail'],
    caller: DevmemWaiter['caller'],
  ): void {
    if (this.#waiter !== undefined) {
      fail(rejectedAtCaller(receiverBusy()))
      return
    }
    const answer = this.#pool.copies.tracing ? tracedDelivery(resolve, this.#reader.label) : resolve
    const frag = this.#reader.take()
    if (frag !== undefined) {
      answer(frag)
      return
    }
    this.#waiter = { resolve: answer, fail, caller }
    this.serve()
  }

  #stopWaiting(caller: object, error?: Error): void {
    const waiter = this.#waiter
    if (waiter?.caller !== caller) return
    this.#waiter = undefined
    if (error === undefined) waiter.resolve(undefined)
    else waiter.fail(rejectedAtCaller(error))
  }

  /** Gives the waiter what has arrived, or waits for it. */
  serve(): void {
    if (this.#waiter === undefined) return
    if (this.#over === undefined && !this.#reader.dry) {
      if (this.#readsThisTurn >= READS_PER_TURN) return
      this.read()
    }
    const waiter = this.#waiter
    if (waiter === undefined) return
    const frag = this.#reader.take()
    if (frag === undefined && (this.#over === undefined || this.#reader.dry)) {
      if (!this.#isWaiting) void this.#wait()
      return
    }
    this.#waiter = undefined
    if (frag !== undefined) waiter.resolve(frag)
    else if (this.#over?.error === undefined) waiter.resolve(undefined)
    else waiter.fail(rejectedAtCaller(this.#over.error))
  }

  /** Reads once. Returns true if something came. */
  read(): boolean {
    if (this.#readsThisTurn++ === 0) setImmediate(this.#newTurn)
    let result: 'frags' | 'nothing' | 'end'
    try {
      result = this.#reader.read()
    } catch (error) {
      this.#owner.fail(socketError('receive', error))
      return false
    }
    if (result === 'end') this.#owner.ended()
    return result === 'frags'
  }

  readonly #newTurn = (): void => {
    const stopped = this.#readsThisTurn >= READS_PER_TURN
    this.#readsThisTurn = 0
    if (stopped) this.serve()
  }

  async #wait(): Promise<void> {
    this.#isWaiting = true
    // Bytes that the dry pool has no page for wait in front of those in the socket.
    if (this.#reader.dry) {
      await this.#pool.whenAvailable()
      if (this.#pool.destroyed) this.#owner.fail(poolDestroyed())
    } else {
      const events = await this.#io.wait('readable').catch(() => 0)
      if ((events & POLLERR) !== 0) this.#owner.reap()
    }
    this.#isWaiting = false
    this.serve()
  }
}
