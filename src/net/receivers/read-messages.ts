/** Reads messages of a small header of fixed size and a large payload. */

import type { Connection } from '../../connection.ts'
import { ArgumentRangeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { checkOptionalFunction, invalid } from '../arguments.ts'
import { destinationView } from './destination-memory.ts'
import { type ReceiveIntoOptions, receiveInto, receiveUnlessEnded } from './receive-into.ts'

/** Limit of a payload, so that a peer cannot make this side allocate all memory. */
const DEFAULT_MAX_PAYLOAD_BYTES = 2 ** 30

/** Layout of the messages of a protocol. */
export interface MessageFraming {
  /** Bytes of each header: 1 to 4096. */
  readonly headerBytes: number
  /** Returns the bytes of payload that follow this header: 0 or more. */
  readonly payloadBytes: (header: Uint8Array) => number
  /** Returns memory of at least `length` bytes for the payload. Fresh memory by default. */
  readonly destination?: (header: Uint8Array, length: number) => Uint8Array | ArrayBufferLike
  /**
   * Most bytes that `payloadBytes` may return: 1 GiB by default. A larger payload is refused
   * before memory is allocated.
   */
  readonly maxPayloadBytes?: number
  /** Gives up the wait when aborted. */
  readonly signal?: AbortSignal
}

/** A message. */
export interface Message {
  /** The header, to be released by the application. */
  readonly header: HostFrag
  /** The payload, in the memory of the destination. */
  readonly payload: Uint8Array
}

const NAMES: OptionNames<MessageFraming> = {
  headerBytes: true,
  payloadBytes: true,
  destination: true,
  maxPayloadBytes: true,
  signal: true,
}

/**
 * Yields the messages of a connection. Each header is a separate frag, which the application releases.
 * Each payload lies in the memory that `destination` returns, read straight into it except for bytes that
 * arrived with the header. Ends when the peer finishes between two messages.
 *
 * @throws NETMEM_ENDED_EARLY if the peer finishes within a message.
 * @throws NETMEM_OUT_OF_RANGE for a payload length that is negative, fractional or too large.
 * @throws the codes of `receiveInto`.
 *
 * @example
 * ```ts
 * import { readMessages } from 'netmem/net'
 *
 * const framing = {
 *   headerBytes: 4,
 *   payloadBytes: (header: Uint8Array) => new DataView(header.buffer, header.byteOffset).getUint32(0),
 * }
 * for await (const { header, payload } of readMessages(connection, framing)) {
 *   console.log(payload.length)
 *   header.release()
 * }
 * ```
 */
export async function* readMessages(
  connection: Connection,
  framing: MessageFraming,
): AsyncGenerator<Message, void, void> {
  const own = ownOptions('readMessages()', framing, NAMES)
  if (typeof own.payloadBytes !== 'function') {
    throw invalid('payloadBytes must be a function that reads it from a header.')
  }
  checkOptionalFunction('destination', own.destination)
  const headerBytes = checkInteger('headerBytes', own.headerBytes, 1, 4096)
  const longest = checkInteger(
    'maxPayloadBytes',
    own.maxPayloadBytes ?? DEFAULT_MAX_PAYLOAD_BYTES,
    0,
    Number.MAX_SAFE_INTEGER,
  )
  const { signal } = own
  const options: ReceiveIntoOptions = signal === undefined ? {} : { signal }
  const bytes = new Uint8Array(headerBytes)
  while ((await receiveUnlessEnded(connection, bytes, signal)) > 0) {
    const header = connection.receivers.fragOf(bytes)
    try {
      const length = checkInteger('payloadBytes(header)', own.payloadBytes(bytes), 0, longest)
      const memory = own.destination?.(bytes, length) ?? freshMemory(length)
      const payload = destinationView(memory, length)
      await receiveInto(connection, payload, options)
      yield { header, payload }
    } catch (error) {
      header.release()
      throw error
    }
  }
}

function freshMemory(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes)
  } catch {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `There is no memory for a payload of ${bytes} bytes. Limit it with maxPayloadBytes.`,
    )
  }
}
