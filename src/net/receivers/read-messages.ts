/** Framing: protocols made of a small header of fixed size and a large payload. */

import type { Connection } from '../../connection.ts'
import { ArgumentRangeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { checkOptionalFunction, invalid } from '../arguments.ts'
import { destinationView } from './destination-memory.ts'
import { type ReceiveIntoOptions, receiveInto, receiveUnlessEnded } from './receive-into.ts'

/** A peer must not be able to ask for all memory there is. */
const DEFAULT_MAX_PAYLOAD_LENGTH = 2 ** 30

/** What a protocol's messages look like. */
export interface MessageFraming {
  /** Bytes of each header: 1 to 4096. */
  readonly header: number
  /** Bytes of payload that follow this header: 0 or more. */
  readonly payloadLength: (header: Uint8Array) => number
  /** Where that payload goes: memory of at least `length` bytes. Fresh memory by default. */
  readonly destination?: (header: Uint8Array, length: number) => Uint8Array | ArrayBufferLike
  /** Bounds what `payloadLength` may say: 1 GiB by default. A larger payload is refused before memory is asked for. */
  readonly maxPayloadLength?: number
  readonly signal?: AbortSignal
}

/** One message. */
export interface Message {
  readonly header: HostFrag
  /** Exactly the payload, in the destination's memory. */
  readonly payload: Uint8Array
}

const NAMES: OptionNames<MessageFraming> = {
  header: true,
  payloadLength: true,
  destination: true,
  maxPayloadLength: true,
  signal: true,
}

/**
 * Yields the messages of a connection: each header in a frag of its own, which the application
 * releases, each payload where `destination` says, read straight into it but for what shared a
 * read with its header. Ends when the peer finishes between two messages; within one it throws
 * NETMEM_ENDED_EARLY. Throws what `receiveInto` does, and NETMEM_OUT_OF_RANGE for lengths that
 * are none.
 *
 * @example
 * ```ts
 * import { readMessages } from 'netmem/net'
 *
 * const framing = {
 *   header: 4,
 *   payloadLength: (header: Uint8Array) => new DataView(header.buffer, header.byteOffset).getUint32(0),
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
  if (typeof own.payloadLength !== 'function') {
    throw invalid('payloadLength must be a function that reads it from a header.')
  }
  checkOptionalFunction('destination', own.destination)
  const headerBytes = checkInteger('header', own.header, 1, 4096)
  const longest = checkInteger(
    'maxPayloadLength',
    own.maxPayloadLength ?? DEFAULT_MAX_PAYLOAD_LENGTH,
    0,
    Number.MAX_SAFE_INTEGER,
  )
  const { signal } = own
  const options: ReceiveIntoOptions = signal === undefined ? {} : { signal }
  const bytes = new Uint8Array(headerBytes)
  while ((await receiveUnlessEnded(connection, bytes, signal)) > 0) {
    const header = connection.receivers.fragOf(bytes)
    try {
      const length = checkInteger('payloadLength(header)', own.payloadLength(bytes), 0, longest)
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
      `There is no memory for a payload of ${bytes} bytes; bound it with maxPayloadLength.`,
    )
  }
}
