/** The control connection of one test: states and JSON in, messages out, and a close without loss. */

import { concatenate } from './protocol.ts'
import type { MessageReader } from './reader.ts'
import { within } from './timing.ts'
import type { Address, Transport } from './transport.ts'

export class ControlChannel {
  readonly peer: Address
  readonly #connection: Transport
  readonly #reader: MessageReader

  constructor(connection: Transport, reader: MessageReader) {
    this.peer = connection.remoteAddress
    this.#connection = connection
    this.#reader = reader
  }

  /**
   * The client's next state, any number from -128 to 127, or `undefined` when it has closed the
   * connection.
   */
  async readState(): Promise<number | undefined> {
    const [byte] = (await this.#reader.read(1)) ?? []
    return byte === undefined ? undefined : (byte << 24) >> 24
  }

  /**
   * A JSON text, or `undefined` when the client has closed the connection or announces more than
   * `limitBytes`.
   */
  async readJson(limitBytes: number): Promise<string | undefined> {
    const prefix = await this.#reader.read(4)
    if (prefix === undefined) return undefined
    const length = new DataView(prefix.buffer).getUint32(0)
    if (length > limitBytes) return undefined
    const text = await this.#reader.read(length)
    return text === undefined ? undefined : new TextDecoder().decode(text)
  }

  /** Sends messages, in one write. */
  send(...messages: readonly Uint8Array[]): Promise<void> {
    return this.#connection.write(concatenate(messages))
  }

  /**
   * Closes, and settles when all memory is released. Never rejects. Reads all bytes first, so that the
   * last message arrives. A close with unread bytes would send a reset, and the client's system would
   * drop the message.
   */
  async close(lingerMilliseconds: number): Promise<void> {
    const drained = this.#reader.drain()
    try {
      const goodbye = Promise.all([drained, this.#connection.end()])
      await within(lingerMilliseconds, goodbye, () => new Error('the client does not close'))
    } catch {
      // Late or broken: either way it ends here.
    }
    this.#connection.destroy()
    await drained
  }
}
