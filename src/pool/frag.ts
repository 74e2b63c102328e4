/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Fragments: byte ranges of received payload. Each has exactly one holder, which gives it back with
 * `release()` or `using`. A second release is harmless. Every other use after a release throws.
 */

import { checkInteger, LifetimeError } from '../errors.ts'
import { type Binding, bits, bytesOf, type Page } from '../netmem.ts'
import { applicationStack } from './application-stack.ts'
import { COPY_OVERHEAD, type Copies, RX_COPYBREAK } from './copies.ts'
import type { FragAccount } from './frag-account.ts'
import { dropToken, holdToken, type Token } from './frag-memory.ts'
import { notShared } from './lender.ts'
import type { Borrower, Lent } from './lent.ts'
import { coreOf } from './pool-core.ts'
import type { Reservation } from './reservation.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_FRAG_RELEASED: 'LifetimeError'
    NETMEM_DESTINATION_DETACHED: 'ArgumentTypeError'
  }
}

/** Payload that this thread may read: a frag of its own pool, or one that it has borrowed. */
export interface ReadableFrag extends Disposable {
  /** Bytes of payload. */
  readonly length: number
  /**
   * The payload itself, valid until released. Its `buffer` is the page, or all pages of the pool,
   * with what other connections received there: `structuredClone` and `postMessage` carry all of
   * it. Use {@link copy} for bytes to clone, transfer or keep.
   * @throws NETMEM_FRAG_RELEASED after {@link release}.
   * @throws NETMEM_DESTINATION_DETACHED if the pool's memory was taken away.
   */
  readonly bytes: Uint8Array
  /**
   * Copies the payload to an ArrayBuffer of exactly {@link length} bytes that
   * may be cloned, transferred and kept.
   *
   * @throws as {@link bytes} does.
   *
   * @example
   * ```ts
   * import { createFrag } from 'netmem'
   * import { MessageChannel } from 'node:worker_threads'
   *
   * const page = pool.alloc()
   * if (page !== undefined) {
   *   const frag = createFrag(pool, page, 0, 100)
   *   const bytes = frag.copy()
   *   frag.release()
   *   const { port1 } = new MessageChannel()
   *   port1.postMessage(bytes, [bytes.buffer]) // 100 bytes, and nothing of the page
   *   port1.close()
   * }
   * ```
   */
  copy(): Uint8Array<ArrayBuffer>
  /** Gives the memory back. */
  release(): void
}

/**
 * Payload that another thread has lent. It is no netmem here: this thread has no handle and no
 * pool of it, cannot lend it on, and gives it back to the lender by {@link release}.
 */
export interface BorrowedFrag extends ReadableFrag {
  readonly kind: 'borrowed'
}

/** Payload in host memory, as this thread received it. */
export interface HostFrag extends ReadableFrag {
  readonly kind: 'page'
  /**
   * Makes another frag of bytes `start` to `end`, to keep when this one is released. Up to
   * {@link RX_COPYBREAK} bytes are copied, so that a small message does not pin its page.
   *
   * @throws NETMEM_OUT_OF_RANGE, NETMEM_FRAG_RELEASED.
   */
  slice(start?: number, end?: number): HostFrag
  /**
   * Moves the frag to another thread: post the result there and pass it to `receive` of the
   * attached pool. This frag is released by it. `undefined`, and nothing changed, when as many
   * are lent as the pool was shared for. What the thread still has when it ends goes back to the
   * pool and is filled again, so a borrower gives other threads a {@link copy}, never the bytes.
   *
   * @throws NETMEM_NOT_SHARED, NETMEM_FRAG_RELEASED, and NETMEM_INVALID_ARGUMENT unless it is a thread's Worker.
   */
  lend(borrower: Borrower): Lent | undefined
}

/** Payload in device memory: it can be named and given back, never read. */
export interface DeviceFrag extends Disposable {
  readonly kind: 'net_iov'
  /** Binding of the dma-buf that the payload is in. */
  readonly binding: Binding
  /** Bytes from the dma-buf's start. */
  readonly offset: number
  /** Bytes of payload. */
  readonly length: number
  /** Name of the frag in the socket's messages. */
  readonly token: number
  /** Gives the memory back. */
  release(): void
}

/** A frag of the kind that `kind` names. */
export type Frag = HostFrag | DeviceFrag

/**
 * @internal Makes a frag of `length` bytes at `offset` of a page, taking over one of its
 * references that is in no frag. `account` is charged until the frag is released.
 */
export function fragOf(
  page: Page,
  offset: number,
  length: number,
  account?: FragAccount,
): HostFrag {
  const token = holdToken(bits(page)) ?? coreOf(page).frags.hold(bits(page))
  return new HeldFrag(page, offset, length, token, account)
}

/** @internal Page of a frag, or `undefined` for a copy and after its release. */
export function pageOf(frag: HostFrag): Page | undefined {
  return frag instanceof HeldFrag ? frag.page : undefined
}

/**
 * @internal Wraps the answer to a receiver. With `traceLeaks`, reports name the stack of the call
 * that asked for the frag: the socket's callback has no frame of the application.
 */
export function traceDelivery(
  answer: (frag: HostFrag | undefined) => void,
  label: string | undefined,
): (frag: HostFrag | undefined) => void {
  const stack = applicationStack()
  return (frag) => {
    traceFrag(frag, label, stack)
    answer(frag)
  }
}

/** @internal Notes from whom a frag was received, and where in the application. */
export function traceFrag(
  frag: HostFrag | undefined,
  label: string | undefined,
  stack: string | undefined,
): void {
  if (frag instanceof HeldFrag) frag.trace(label, stack)
}

/**
 * @internal Makes a frag of a copy of `bytes`: rx-copybreak. The pool counts it, and so does
 * `account`. The pool's memory may be of either kind.
 */
export function copiedFrag(
  pool: { readonly copies: Copies },
  bytes: Uint8Array,
  account?: FragAccount,
): HostFrag {
  return new CopiedFrag(pool.copies, bytes, account)
}

/**
 * @internal Copies `bytes` into reserved room, which holds them, and makes a frag of the copy.
 *
 * @throws NETMEM_DESTINATION_DETACHED if the pool's memory is gone. The reservation is cancelled.
 */
export function fragIn(
  reserved: Reservation<Page>,
  bytes: Uint8Array,
  account?: FragAccount,
): HostFrag {
  const { page, offset } = reserved
  try {
    bytesOf(page).set(bytes, offset)
  } catch (error) {
    reserved.cancel()
    throw error
  }
  return fragOf(reserved.commit(bytes.byteLength), offset, bytes.byteLength, account)
}

/** @internal A frag of a reference that its token counts already. */
export class HeldFrag implements HostFrag {
  // Declared: fields that the class made would be stored twice, and be checked at each use. A frag
  // is made for each read.
  declare readonly kind: 'page'
  declare readonly length: number
  /** Undefined once released. */
  declare page: Page | undefined
  declare readonly offset: number
  declare readonly token: Token
  declare readonly account: FragAccount | undefined
  declare view: Uint8Array | undefined

  constructor(page: Page, offset: number, length: number, token: Token, account?: FragAccount) {
    this.kind = 'page'
    this.length = length
    this.page = page
    this.offset = offset
    this.token = token
    this.account = account
    this.view = undefined
    account?.charge(length)
  }

  get bytes(): Uint8Array {
    const whole = bytesOf(this.page ?? released())
    if (this.length === whole.byteLength) return whole
    // Emptied when a WebAssembly memory grows.
    if (this.view === undefined || this.view.byteLength !== this.length) {
      this.view = whole.subarray(this.offset, this.offset + this.length)
    }
    return this.view
  }

  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  slice(start = 0, end: number = this.length): HostFrag {
    const page = this.page ?? released()
    checkInteger('end', end, 0, this.length)
    checkInteger('start', start, 0, end)
    const account = this.account
    if (end - start <= RX_COPYBREAK) {
      return new CopiedFrag(coreOf(page).copies, this.bytes.subarray(start, end), account)
    }
    this.token.owner.share(bits(page), this.token)
    return fragOf(page, this.offset + start, end - start, account)
  }

  lend(borrower: Borrower): Lent | undefined {
    if (this.page !== undefined) this.token.owner.lender?.makeRoom()
    // Read afterwards: a waiter that was woken may have released this frag.
    const page = this.page ?? released()
    const { token, offset, length, account } = this
    const lent = token.owner.lend(bits(page), token, offset, length, borrower, account)
    if (lent !== undefined) this.#forget()
    return lent
  }

  release(): void {
    const page = this.page
    if (page === undefined) return
    this.#forget()
    dropToken(bits(page), this.token)
    this.account?.credit(this.length)
  }

  [Symbol.dispose](): void {
    this.release()
  }

  trace(label: string | undefined, stack: string | undefined): void {
    const { record } = this.token
    record.label = label ?? record.label
    record.stack = stack ?? record.stack
  }

  #forget(): void {
    this.page = undefined
    this.view = undefined
  }
}

class CopiedFrag implements HostFrag {
  readonly kind = 'page'
  readonly length: number
  readonly #copies: Copies
  readonly #account: FragAccount | undefined
  #bytes: Uint8Array | undefined

  constructor(copies: Copies, bytes: Uint8Array, account?: FragAccount) {
    this.length = bytes.byteLength
    this.#copies = copies
    this.#account = account
    // Memory of its own: a Buffer from Node's pool would pin a slab.
    this.#bytes = new Uint8Array(bytes)
    copies.made(this.length)
    account?.charge(this.length + COPY_OVERHEAD)
  }

  get bytes(): Uint8Array {
    return this.#bytes ?? released()
  }

  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  slice(start = 0, end: number = this.length): HostFrag {
    const bytes = this.bytes
    checkInteger('end', end, 0, this.length)
    checkInteger('start', start, 0, end)
    return new CopiedFrag(this.#copies, bytes.subarray(start, end), this.#account)
  }

  lend(): Lent {
    const { bytes } = this
    if (!this.#copies.lendable) throw notShared()
    this.release()
    return { kind: 'copy', bytes }
  }

  release(): void {
    if (this.#bytes === undefined) return
    this.#bytes = undefined
    this.#copies.dropped(this.length)
    this.#account?.credit(this.length + COPY_OVERHEAD)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function released(): never {
  throw new LifetimeError(
    'NETMEM_FRAG_RELEASED',
    'The frag has been released or lent. Take a copy() before, or keep a part with slice().',
  )
}
