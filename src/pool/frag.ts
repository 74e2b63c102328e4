/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Fragments: byte ranges of received payload, each with exactly one holder, who gives it back
 * with `release()` or `using`. Releasing twice is harmless; anything else after it throws.
 */

import { checkInteger, LifetimeError } from '../errors.ts'
import type { Netmem, Page } from '../netmem.ts'
import { applicationStack } from './application-stack.ts'
import { COPY_OVERHEAD, type FragAccount } from './frag-account.ts'
import type { Keeper } from './frag-ledger.ts'
import type { Borrower, Lent } from './lender.ts'
import type { Binding } from './memory-provider.ts'
import type { PagePool } from './page-pool.ts'

/** Payload that this thread may read. */
export interface ReadableFrag extends Disposable {
  readonly kind: 'page'
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
   * Copies the payload to memory of its own, an ArrayBuffer of exactly {@link length} bytes that
   * may be cloned, transferred and kept. Throws as {@link bytes} does.
   *
   * @example
   * ```ts
   * import { pageFrag } from 'netmem'
   * import { MessageChannel } from 'node:worker_threads'
   *
   * const page = pool.alloc()
   * if (page !== undefined) {
   *   const frag = pageFrag(pool, page, 0, 100)
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

/** Payload in host memory, as this thread received it. */
export interface HostFrag extends ReadableFrag {
  /**
   * A frag of its own of bytes `start` to `end`, to keep when the rest is released. Up to
   * {@link RX_COPYBREAK} bytes are copied, so that a small message does not pin its page.
   * Throws NETMEM_OUT_OF_RANGE, NETMEM_FRAG_RELEASED.
   */
  slice(start?: number, end?: number): HostFrag
  /**
   * Moves the frag to another thread: post the result there and pass it to `receive` of the
   * attached pool. This frag is released by it. `undefined`, and nothing changed, when as many
   * are lent as the pool was shared for. What the thread still has when it ends goes back to the
   * pool and is filled again, so a borrower gives other threads a {@link copy}, never the bytes.
   * Throws NETMEM_NOT_SHARED, NETMEM_FRAG_RELEASED.
   */
  lend(borrower: Borrower): Lent | undefined
}

/** Payload in device memory: it can be named and given back, never read. */
export interface DeviceFrag extends Disposable {
  readonly kind: 'net_iov'
  readonly binding: Binding
  /** Bytes from the dma-buf's start. */
  readonly offset: number
  /** Bytes of payload. */
  readonly length: number
  /** What the socket calls it. */
  readonly token: number
  /** Gives the memory back. */
  release(): void
}

/** A frag of either kind; `kind` tells which. */
export type Frag = HostFrag | DeviceFrag

/** Payloads of at most this many bytes are copied rather than left to pin a page. */
export const RX_COPYBREAK: number = 16 * 1024

/**
 * Makes a frag of `length` bytes at `offset` of a page, taking over one of its references.
 * `label` says in reports where it came from, such as `tcp 127.0.0.1:5201`.
 * Throws NETMEM_OUT_OF_RANGE, and what `PagePool.put` throws of a handle that is not out.
 *
 * @example
 * ```ts
 * import { pageFrag } from 'netmem'
 *
 * const page = pool.alloc()
 * if (page !== undefined) {
 *   const frag = pageFrag(pool, page, 0, 100)
 *   console.log(frag.bytes.length) // 100
 *   frag.release() // and the page is the pool's again
 * }
 * ```
 */
export function pageFrag(
  pool: PagePool<Page>,
  page: Page,
  offset = 0,
  length: number = pool.pageSize - offset,
  label?: string,
): HostFrag {
  checkInteger('offset', offset, 0, pool.pageSize)
  checkInteger('length', length, 0, pool.pageSize - offset)
  const frag = new PageFrag(pool, page, offset, length, pool.takeKeeper(page))
  if (label !== undefined) frag.trace(label, undefined)
  return frag
}

/**
 * @internal Wraps what a receiver is answered with: with `traceLeaks`, the frag is known by the
 * stack of the call that asked for it, since the one that brings it has none of the application's.
 */
export function traceDelivery(
  answer: (frag: HostFrag | undefined) => void,
  label: string | undefined,
): (frag: HostFrag | undefined) => void {
  const stack = applicationStack()
  return (frag) => {
    if (frag instanceof PageFrag) frag.trace(label, stack)
    answer(frag)
  }
}

/** @internal What a frag needs of the pool its memory is from: a pool of that kind, or a dual one. */
export type FragOwner<M extends Netmem> = Pick<
  PagePool<M>,
  'pageSize' | 'ledger' | 'bytes' | 'ref' | 'takeKeeper' | 'putFrag' | 'lendFrag' | 'lender'
>

/** @internal Makes a frag of a copy of `bytes`: rx-copybreak. The pool counts it, and so does `account`. */
export function copiedFrag(
  pool: FragOwner<Page>,
  bytes: Uint8Array,
  account?: FragAccount,
): HostFrag {
  return new CopiedFrag(pool, bytes, account)
}

/** @internal The driver makes these itself, on its hot path. */
export class PageFrag implements HostFrag {
  readonly kind = 'page'
  readonly length: number
  readonly #pool: FragOwner<Page>
  #page: Page | undefined
  readonly #offset: number
  readonly #keeper: Keeper
  readonly #account: FragAccount | undefined
  #view: Uint8Array | undefined

  constructor(
    pool: FragOwner<Page>,
    page: Page,
    offset: number,
    length: number,
    keeper: Keeper,
    account?: FragAccount,
  ) {
    this.length = length
    this.#pool = pool
    this.#page = page
    this.#offset = offset
    this.#keeper = keeper
    this.#account = account
    keeper.record.frags++
    account?.charge(length)
  }

  get bytes(): Uint8Array {
    const whole = this.#pool.bytes(this.#page ?? released())
    if (this.length === whole.byteLength) return whole
    // Emptied when a WebAssembly memory grows.
    if (this.#view === undefined || this.#view.byteLength !== this.length) {
      this.#view = whole.subarray(this.#offset, this.#offset + this.length)
    }
    return this.#view
  }

  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  slice(start = 0, end: number = this.length): HostFrag {
    const page = this.#page ?? released()
    checkInteger('end', end, 0, this.length)
    checkInteger('start', start, 0, end)
    const account = this.#account
    if (end - start <= RX_COPYBREAK)
      return new CopiedFrag(this.#pool, this.bytes.subarray(start, end), account)
    this.#pool.ref(page)
    return new PageFrag(this.#pool, page, this.#offset + start, end - start, this.#keeper, account)
  }

  lend(borrower: Borrower): Lent | undefined {
    const page = this.#page ?? released()
    const { length } = this
    const account = this.#account
    const lent = this.#pool.lendFrag(page, this.#keeper, this.#offset, length, borrower, account)
    if (lent !== undefined) this.#forget()
    return lent
  }

  release(): void {
    const page = this.#page
    if (page === undefined) return
    this.#forget()
    this.#keeper.record.frags--
    this.#pool.putFrag(page, this.#keeper)
    this.#account?.credit(this.length)
  }

  [Symbol.dispose](): void {
    this.release()
  }

  /** @internal Notes from whom it was received, and where in the application. */
  trace(label: string | undefined, stack: string | undefined): void {
    const { record } = this.#keeper
    record.label = label ?? record.label
    record.stack = stack ?? record.stack
  }

  #forget(): void {
    this.#page = undefined
    this.#view = undefined
  }
}

class CopiedFrag implements HostFrag {
  readonly kind = 'page'
  readonly length: number
  readonly #pool: FragOwner<Page>
  readonly #account: FragAccount | undefined
  #bytes: Uint8Array | undefined

  constructor(pool: FragOwner<Page>, bytes: Uint8Array, account?: FragAccount) {
    this.length = bytes.byteLength
    this.#pool = pool
    this.#account = account
    // Not Buffer.slice and not from Buffer's own pool, which would pin a slab for it.
    this.#bytes = new Uint8Array(bytes)
    pool.ledger.copyMade(this.length)
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
    return new CopiedFrag(this.#pool, bytes.subarray(start, end), this.#account)
  }

  lend(): Lent {
    const { bytes } = this
    this.#pool.lender()
    this.release()
    return { kind: 'copy', bytes }
  }

  release(): void {
    if (this.#bytes === undefined) return
    this.#bytes = undefined
    this.#pool.ledger.copyDropped(this.length)
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
