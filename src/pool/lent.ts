/** Types of lending: what a pool's owner posts to other threads, and to which. */

/** Describes a pool's memory to another thread. Crosses `postMessage`. */
export interface PoolShare {
  /** Memory of the pool. */
  readonly buffer: SharedArrayBuffer
  /** Table of the frags that are lent. */
  readonly table: SharedArrayBuffer
}

/** A frag on its way to another thread. Crosses `postMessage`, and may be received once. */
export type Lent =
  | {
      readonly kind: 'page'
      /** Number of its entry in the table. */
      readonly entry: number
      /** Number of this use of the entry. */
      readonly stamp: number
      /** Bytes from the start of the shared buffer. */
      readonly offset: number
      /** Bytes of payload. */
      readonly length: number
    }
  | {
      readonly kind: 'copy'
      /** The payload itself, which was a copy already. */
      readonly bytes: Uint8Array
    }

/** The thread that borrows: a Node.js `Worker`, or another object that emits `exit` when the thread has ended. */
export interface Borrower {
  /** −1 once the thread has ended, as a `Worker` has it. */
  readonly threadId?: number
  /** Calls `listener` when the thread has ended. */
  once(event: 'exit', listener: () => void): unknown
}
