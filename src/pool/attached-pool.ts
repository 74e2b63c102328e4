/// <reference lib="esnext.disposable" preserve="true" />
/** The worker's view of a pool that its owner shares: reads lent frags and gives them back. */

import { ArgumentTypeError, checkInteger, LifetimeError } from '../errors.ts'
import type { BorrowedFrag } from './frag.ts'
import { receiveEntry, returnEntry } from './lender.ts'
import type { Lent, PoolShare } from './lent.ts'

/** A shared pool as seen from another thread. Nothing has to be closed. */
export interface AttachedPool {
  /**
   * Takes a lent frag, which `frag.lend()` made and `postMessage` brought.
   *
   * The other thread is trusted with the place inside the pool's memory: the table knows entries alone.
   *
   * @throws NETMEM_STALE_HANDLE if it was received before or is no longer lent.
   * @throws NETMEM_OUT_OF_RANGE for numbers that no loan of the pool has.
   * @throws NETMEM_INVALID_ARGUMENT for other values, such as the copy that `postMessage` makes of a frag.
   */
  receive(lent: Lent): BorrowedFrag
}

/**
 * Opens a pool's description in the thread it was posted to.
 *
 * @throws NETMEM_INVALID_ARGUMENT for other values of `share`.
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
  const words = new Int32Array(share.table)
  const { buffer } = share
  return {
    receive: (lent) => {
      if (lent?.kind === 'copy') return new ReceivedFrag(lent.bytes, undefined)
      if (typeof lent?.entry !== 'number') {
        throw new ArgumentTypeError(
          'NETMEM_INVALID_ARGUMENT',
          'receive() takes what frag.lend(worker) returned. Post that, not the frag.',
        )
      }
      const { entry, stamp, offset, length } = lent
      // Checked first: a loan that was received must be one that can be given back.
      checkInteger('offset', offset, 0, buffer.byteLength)
      checkInteger('length', length, 0, buffer.byteLength - offset)
      receiveEntry(words, entry, stamp)
      const bytes = new Uint8Array(buffer, offset, length)
      return new ReceivedFrag(bytes, () => returnEntry(words, entry, stamp))
    },
  }
}

class ReceivedFrag implements BorrowedFrag {
  readonly kind = 'borrowed'
  readonly length: number
  readonly #giveBack: (() => void) | undefined
  /** Undefined once released. */
  #bytes: Uint8Array | undefined

  /** @param giveBack gives the memory back to its owner, or undefined for a copy. */
  constructor(bytes: Uint8Array, giveBack: (() => void) | undefined) {
    this.length = bytes.byteLength
    this.#bytes = bytes
    this.#giveBack = giveBack
  }

  get bytes(): Uint8Array {
    if (this.#bytes === undefined) {
      throw new LifetimeError(
        'NETMEM_FRAG_RELEASED',
        'The frag has been released. Take a copy() before.',
      )
    }
    return this.#bytes
  }

  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  release(): void {
    if (this.#bytes === undefined) return
    this.#bytes = undefined
    this.#giveBack?.()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
