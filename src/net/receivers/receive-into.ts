/** Receiving an exact number of bytes straight into memory that is known in advance. */

import type { Connection } from '../../connection.ts'
import { type OptionNames, ownOptions } from '../../errors.ts'
import { checkOptionalFunction, checkSignal, invalid } from '../arguments.ts'
import { aborted } from '../connection-error.ts'
import { destinationView } from './destination-memory.ts'

/** How much to receive, and what to tell meanwhile. */
export interface ReceiveIntoOptions {
  /** Bytes to receive: 0 to the size of the destination, which is the default. */
  readonly length?: number
  /** Destroys the connection when aborted, since part of the data is in the destination by then. */
  readonly signal?: AbortSignal
  /** Told how many bytes have arrived, after each read. */
  readonly onProgress?: (bytes: number) => void
}

const NAMES: OptionNames<ReceiveIntoOptions> = { length: true, signal: true, onProgress: true }
const NONE = ownOptions<ReceiveIntoOptions>('receiveInto()', {}, NAMES)

/**
 * Receives exactly `length` bytes into `destination`; resolves with that number. The socket reads
 * straight into it, after up to 16 KiB that are copied each time data begins to arrive; over TLS
 * all of it is copied once more. Nothing is read past the end, save by TLS, which delivers up to
 * 64 KiB more; what follows is kept for the next call.
 *
 * The destination must stay where it is until the call resolves. If it is transferred or shrunk,
 * nothing is written to its memory any more, and the next read fails the call with
 * NETMEM_DESTINATION_DETACHED. An error within the transfer destroys the connection.
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
  options?: ReceiveIntoOptions,
): Promise<number> {
  // Without options there is nothing to read: small views come a hundred thousand a second.
  const own = options === undefined ? NONE : ownOptions('receiveInto()', options, NAMES)
  checkOptionalFunction('onProgress', own.onProgress)
  const view = destinationView(destination, own.length)
  return receive(connection, view, false, own)
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
  if (typeof connection?.receivers?.fill !== 'function') {
    throw invalid('A connection is what connect(), listen() or adopt() made.')
  }
  checkSignal(signal)
  if (signal?.aborted) throw aborted(signal.reason)
  const abort = (): void => connection.destroy(aborted(signal?.reason))
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await connection.receivers.fill(view, { mayEnd, onProgress })
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
