/**
 * Reads messages of a known length from a connection, and keeps the bytes that follow for the next
 * message. It serves the few small messages of the control protocol, not payload.
 */

import type { StreamFrag, Transport } from './transport.ts'

export class MessageReader {
  readonly #connection: Transport
  #frag: StreamFrag | undefined
  /** Bytes of `#frag` already read. */
  #offset = 0
  /** The read in progress: a connection has one `receive()` at a time. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor(connection: Transport) {
    this.#connection = connection
  }

  /**
   * Reads exactly `length` bytes. Resolves with `undefined` if the peer's FIN comes first. Rejects when
   * the connection breaks.
   */
  read(length: number): Promise<Uint8Array | undefined> {
    const reading = this.#read(length)
    this.#pending = reading.catch(() => undefined)
    return reading
  }

  /** Discards data until the peer's FIN or the end of the connection. */
  async drain(): Promise<void> {
    await this.#pending
    this.takeRest()
    try {
      for (;;) {
        const frag = await this.#connection.receive()
        if (frag === undefined) return
        frag.release()
      }
    } catch {
      // A broken connection brings no more data.
    }
  }

  /** Releases data received beyond the last message. Returns its bytes. */
  takeRest(): number {
    if (this.#frag === undefined) return 0
    const rest = this.#frag.length - this.#offset
    this.#release()
    return rest
  }

  async #read(length: number): Promise<Uint8Array | undefined> {
    const message = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      this.#frag ??= await this.#connection.receive()
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
