/** Receives an exact number of bytes straight into memory of the caller. */

import type { Connection } from '../../connection.ts'
import { type OptionNames, ownOptions } from '../../errors.ts'
import { checkOptionalFunction, checkSignal, invalid } from '../arguments.ts'
import { aborted } from '../connection-error.ts'
import { destinationView } from './destination-memory.ts'

/** Options of {@link receiveInto}. */
export interface ReceiveIntoOptions {
  /** Bytes to receive: 0 to the size of the destination, which is the default. */
  readonly length?: number
  /** Destroys the connection when aborted: part of the data is in the destination by then. */
  readonly signal?: AbortSignal
  /** Called with the number of bytes that have arrived, after each read. */
  readonly onProgress?: (bytes: number) => void
}

const NAMES: OptionNames<ReceiveIntoOptions> = { length: true, signal: true, onProgress: true }
const NONE = ownOptions<ReceiveIntoOptions>('receiveInto()', {}, NAMES)

/**
 * Receives exactly `length` bytes into `destination`, and resolves with that number. The socket
 * reads straight into the destination, except up to 16 KiB each time data begins to arrive, which
 * are copied. Over TLS all of it is copied once. Nothing is read past the end, except by TLS, which
 * may deliver up to 64 KiB more. Bytes that follow are kept for the next call.
 *
 * The destination must stay in place until the call resolves. If it is transferred or shrunk,
 * nothing is written to its former memory, and the next read fails the call. An error during the
 * transfer destroys the connection.
 *
 * @throws NETMEM_DESTINATION_TOO_SMALL, NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE before
 *   anything is received.
 * @throws NETMEM_DESTINATION_DETACHED if the destination was transferred or shrunk.
 * @throws NETMEM_ENDED_EARLY if the peer finishes sending before.
 * @throws NETMEM_ABORTED, NETMEM_BUSY, and the codes of `receive`.
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
  // Skips the options if there are none: small destinations come 100,000 times a second.
  const own = options === undefined ? NONE : ownOptions('receiveInto()', options, NAMES)
  checkOptionalFunction('onProgress', own.onProgress)
  const view = destinationView(destination, own.length)
  return receive(connection, view, false, own)
}

/** Fills `view`, or resolves with 0 if the peer finishes sending before its first byte. */
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
    throw invalid(
      'The first argument must be a connection into host memory, as of connect(), listen(), adopt().',
    )
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
