/**
 * One data connection of a test: received, counted, released.
 */

import type { Transport } from './transport.ts'

export class DataStream {
  /** Bytes since the start, or since the omitted seconds were over. */
  bytes: number
  /** Error of a connection that broke before it was stopped. */
  failure: string | undefined
  /** Position in the order of accepting, which gives its id. */
  readonly order: number
  #stopping = false
  readonly connection: Transport
  #loop: Promise<void> = Promise.resolve()

  /** `early` counts the bytes that came in the same read as the cookie. */
  constructor(connection: Transport, order: number, early: number) {
    this.connection = connection
    this.order = order
    this.bytes = early
  }

  start(): void {
    this.#loop = this.#receive()
  }

  /** Closes the connection. Settles when all its memory is given back. A second call is harmless. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.connection.destroy()
    await this.#loop
  }

  async #receive(): Promise<void> {
    const connection = this.connection
    try {
      for (;;) {
        const frag = await connection.receive()
        if (frag === undefined) break
        this.bytes += frag.length
        frag.release()
      }
    } catch (error) {
      if (!this.#stopping) this.failure = error instanceof Error ? error.message : String(error)
    }
    // Reset: otherwise the client writes to its stream until the end of the test.
    connection.destroy()
  }
}
