/** Receiving an exact number of bytes straight into memory that is known in advance. */

import { ArgumentRangeError, ArgumentTypeError, checkInteger } from '../errors.ts'
import type { Connection } from './connection.ts'
import { aborted } from './connection-error.ts'

/** How much to receive, and what to tell meanwhile. */
export interface ReceiveIntoOptions {
  /** Bytes to receive: 0 to the size of the destination, which is the default. */
  readonly length?: number
  /** Destroys the connection when aborted, since part of the data is in the destination by then. */
  readonly signal?: AbortSignal
  /** Told how many bytes have arrived, after each read. */
  readonly onProgress?: (bytes: number) => void
}

/**
 * Receives exactly `length` bytes into `destination`; resolves with that number. The socket reads
 * straight into it: at the most the connection's small buffer (16 KiB) is copied, and what frags
 * were read ahead. Nothing is read past the end, save by TLS, which delivers up to 64 KiB more;
 * what follows is kept for the next call.
 *
 * The destination must stay where it is until then; that is checked after each read.
 * Rejects with NETMEM_DESTINATION_TOO_SMALL, NETMEM_DESTINATION_DETACHED, NETMEM_ENDED_EARLY,
 * NETMEM_ABORTED, NETMEM_BUSY, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, and as `receive`.
 *
 * @example
 * ```ts
 * import { receiveInto } from 'netmem/net'
 *
 * const header = new Uint8Array(8)
 * await receiveInto(connection, header)
 * const body = new SharedArrayBuffer(Number(new DataView(header.buffer).getBigUint64(0)))
 * await receiveInto(connection, body)
 * ```
 */
export async function receiveInto(
  connection: Connection,
  destination: Uint8Array | ArrayBufferLike,
  options: ReceiveIntoOptions = {},
): Promise<number> {
  const view = destinationView(destination, options.length)
  return receive(connection, view, false, options)
}

/** Fills `view`, or resolves with 0 if the peer finished sending before its first byte. */
export function receiveUnlessEnded(
  connection: Connection,
  view: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<number> {
  return receive(connection, view, true, signal === undefined ? {} : { signal })
}

async function receive(
  connection: Connection,
  view: Uint8Array,
  mayEnd: boolean,
  { signal, onProgress }: ReceiveIntoOptions,
): Promise<number> {
  if (signal?.aborted) throw aborted(signal.reason)
  const abort = (): void => connection.destroy(aborted(signal?.reason))
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await connection.driver.receiveInto(view, mayEnd, onProgress)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** The first `length` bytes of a destination; throws where there are not as many. */
export function destinationView(
  destination: Uint8Array | ArrayBufferLike,
  length: number | undefined,
): Uint8Array {
  const whole = viewOf(destination)
  if (length === undefined) return whole
  checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER)
  if (length > whole.byteLength) {
    if (isDetached(whole)) {
      throw new ArgumentTypeError(
        'NETMEM_DESTINATION_DETACHED',
        'The destination is detached: its memory was transferred. Allocate another one.',
      )
    }
    throw new ArgumentRangeError(
      'NETMEM_DESTINATION_TOO_SMALL',
      `${length} bytes do not fit a destination of ${whole.byteLength}.`,
    )
  }
  return length === whole.byteLength ? whole : whole.subarray(0, length)
}

function viewOf(destination: Uint8Array | ArrayBufferLike): Uint8Array {
  if (destination instanceof Uint8Array) return destination
  if (destination instanceof ArrayBuffer || destination instanceof SharedArrayBuffer) {
    try {
      return new Uint8Array(destination)
    } catch {
      throw new ArgumentTypeError(
        'NETMEM_DESTINATION_DETACHED',
        'The destination is detached: its memory was transferred. Allocate another one.',
      )
    }
  }
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    'A destination is a Uint8Array, an ArrayBuffer or a SharedArrayBuffer.',
  )
}

function isDetached(view: Uint8Array): boolean {
  if (view.buffer instanceof SharedArrayBuffer || view.buffer.byteLength > 0) return false
  try {
    return new Uint8Array(view.buffer).byteLength < 0
  } catch {
    return true
  }
}
