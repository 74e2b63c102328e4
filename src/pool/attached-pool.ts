/// <reference lib="esnext.disposable" preserve="true" />
/** The worker's view of a pool that its owner shares: reads lent frags and gives them back. */

import { ArgumentTypeError, LifetimeError } from '../errors.ts'
import type { BorrowedFrag } from './frag.ts'
import { type Lent, type PoolShare, Returner } from './lender.ts'

/** A shared pool as seen from another thread. Nothing has to be closed. */
export interface AttachedPool {
  /** Takes what `frag.lend()` made and `postMessage` brought; throws NETMEM_STALE_HANDLE if it has been received before or is not lent any more. */
  receive(lent: Lent): BorrowedFrag
}

/**
 * Opens a pool's description in the thread it was posted to.
 * Throws NETMEM_INVALID_ARGUMENT when `share` is none.
 *
 * @example
 * ```ts
 * import { attachPool } from 'netmem'
 * import { parentPort, workerData } from 'node:worker_threads'
 *
 * const pool = attachPool(workerData)
 * parentPort?.on('message', (lent) => {
 *   const frag = pool.receive(lent)
 *   console.log(frag.bytes.length)
 *   frag.release()
 * })
 * ```
 */
export function attachPool(share: PoolShare): AttachedPool {
  if (!(share?.buffer instanceof SharedArrayBuffer && share.table instanceof SharedArrayBuffer)) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'attachPool() takes what pool.share() returned.',
    )
  }
  const returner = new Returner(share.table)
  const { buffer } = share
  return {
    receive: (lent) => {
      if (lent.kind === 'copy') return new CopyFrag(lent.bytes)
      returner.receive(lent.entry, lent.stamp)
      return new LentFrag(buffer, lent.offset, lent.length, returner, lent.entry, lent.stamp)
    },
  }
}

class LentFrag implements BorrowedFrag {
  readonly kind = 'borrowed'
  readonly length: number
  readonly #buffer: SharedArrayBuffer
  readonly #offset: number
  /** Undefined once released. */
  #returner: Returner | undefined
  readonly #entry: number
  readonly #stamp: number
  #view: Uint8Array | undefined

  constructor(
    buffer: SharedArrayBuffer,
    offset: number,
    length: number,
    returner: Returner,
    entry: number,
    stamp: number,
  ) {
    this.length = length
    this.#buffer = buffer
    this.#offset = offset
    this.#returner = returner
    this.#entry = entry
    this.#stamp = stamp
  }

  get bytes(): Uint8Array {
    if (this.#returner === undefined) throw released()
    this.#view ??= new Uint8Array(this.#buffer, this.#offset, this.length)
    return this.#view
  }

  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  release(): void {
    const returner = this.#returner
    this.#returner = undefined
    returner?.giveBack(this.#entry, this.#stamp)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

class CopyFrag implements BorrowedFrag {
  readonly kind = 'borrowed'
  readonly length: number
  #bytes: Uint8Array | undefined

  constructor(bytes: Uint8Array) {
    this.length = bytes.byteLength
    this.#bytes = bytes
  }

  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw released()
    return this.#bytes
  }

  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  release(): void {
    this.#bytes = undefined
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function released(): LifetimeError {
  return new LifetimeError(
    'NETMEM_FRAG_RELEASED',
    'The frag has been released. Take a copy() before.',
  )
}
