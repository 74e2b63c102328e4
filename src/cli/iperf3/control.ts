/**
 * The control connection of one test: messages of a known length in, messages out, and a close without
 * loss. Every connection begins as one, since its first message is the cookie that tells what it is.
 */

import { ifWithin } from './timing.ts'
import type { StreamFrag, Transport } from './transport.ts'

export class ControlChannel {
  readonly connection: Transport
  #frag: StreamFrag | undefined
  /** Bytes of `#frag` already read. */
  #offset = 0
  /** The read in progress: a connection has one `receive()` at a time. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor(connection: Transport) {
    this.connection = connection
  }

  /**
   * Reads exactly `length` bytes, and keeps what follows for the next message. Resolves with `undefined`
   * if the peer's FIN comes first. Rejects when the connection breaks.
   */
  read(length: number): Promise<Uint8Array | undefined> {
    const reading = this.#read(length)
    this.#pending = reading.catch(() => undefined)
    return reading
  }

  /**
   * The client's next state, any number from -128 to 127, or `undefined` when it has closed the
   * connection.
   */
  async readState(): Promise<number | undefined> {
    const [byte] = (await this.read(1)) ?? []
    return byte === undefined ? undefined : (byte << 24) >> 24
  }

  /**
   * A JSON text, or `undefined` when the client has closed the connection or announces more than
   * `limitBytes`.
   */
  async readJson(limitBytes: number): Promise<string | undefined> {
    const prefix = await this.read(4)
    if (prefix === undefined) return undefined
    const length = new DataView(prefix.buffer).getUint32(0)
    const text = length > limitBytes ? undefined : await this.read(length)
    return text === undefined ? undefined : new TextDecoder().decode(text)
  }

  /** Sends messages, in one write. */
  send(...messages: readonly Uint8Array[]): Promise<void> {
    return this.connection.write(Buffer.concat(messages))
  }

  /**
   * Closes, and settles when all memory is released. Never rejects. Reads all bytes first, so that the
   * last message arrives. A close with unread bytes would send a reset, and the client's system would
   * drop the message.
   */
  async close(lingerMs: number): Promise<void> {
    const drained = this.drain()
    await ifWithin(lingerMs, Promise.all([drained, this.connection.end()]))
    this.connection.destroy()
    await drained
  }

  /** Discards data until the peer's FIN or the end of the connection. Never rejects. */
  async drain(): Promise<void> {
    await this.#pending
    this.takeRest()
    try {
      for (;;) {
        const frag = await this.connection.receive()
        if (frag === undefined) return
        frag.release()
      }
    } catch {
      // A broken connection brings no more data.
    }
  }

  /** Releases data received beyond the last message. Returns its bytes. */
  takeRest(): number {
    const rest = (this.#frag?.length ?? 0) - this.#offset
    this.#release()
    return rest
  }

  async #read(length: number): Promise<Uint8Array | undefined> {
    const message = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      this.#frag ??= await this.connection.receive()
      if (this.#frag === undefined) return undefined
      const { bytes } = this.#frag
      if (bytes === undefined) throw new Error('a message came in device memory')
      const end = Math.min(this.#frag.length, this.#offset + length - filled)
      message.set(bytes.subarray(this.#offset, end), filled)
      filled += end - this.#offset
      this.#offset = end
      if (this.#offset === this.#frag.length) this.#release()
    }
    return message
  }

  #release(): void {
    this.#frag?.release()
    this.#frag = undefined
    this.#offset = 0
  }
}
