/** Breaks off whatever a transfer does at the moment: connections, connecting, waiting. */

import { setMaxListeners } from 'node:events'
import type { HttpConnection } from './http-connection.ts'

export class AbortScope {
  /** Made when somebody asks: most transfers of small bodies need none, and it is not cheap. */
  #controller: AbortController | undefined
  /** Nearly always there is one at a time, for which no set is made. */
  #connection: HttpConnection | undefined
  #others: Set<HttpConnection> | undefined
  #closing: Promise<void>[] = []
  readonly #signal: AbortSignal | undefined
  readonly #aborted: () => void
  #reason: Error | undefined

  constructor(signal: AbortSignal | undefined, makeReason: (cause: unknown) => Error) {
    this.#signal = signal
    this.#aborted = () => this.abort(makeReason(signal?.reason))
    // Many transfers may share a signal, which is no leak.
    if (signal !== undefined) setMaxListeners(0, signal)
    if (signal?.aborted) this.#aborted()
    else signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  /** Aborted with {@link abort}'s reason. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      // A connection attempt and a wait each listen for a while, several of them with ranges.
      setMaxListeners(0, this.#controller.signal)
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Throws the reason once there is one. */
  check(): void {
    if (this.#reason !== undefined) throw this.#reason
  }

  abort(reason: Error): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#controller?.abort(reason)
    this.#connection?.transport.destroy(reason)
    for (const connection of this.#others ?? []) connection.transport.destroy(reason)
  }

  /** From now on the connection ends with the transfer. */
  add(connection: HttpConnection): void {
    if (this.#connection === undefined) {
      this.#connection = connection
    } else {
      this.#others ??= new Set()
      this.#others.add(connection)
    }
    if (this.#reason !== undefined) connection.transport.destroy(this.#reason)
  }

  /** The connection is done with, and has been destroyed unless it goes on. */
  remove(connection: HttpConnection): void {
    if (this.#connection === connection) this.#connection = undefined
    else this.#others?.delete(connection)
    if (connection.transport.state.kind !== 'open') this.#closing.push(connection.transport.closed)
  }

  /** Whether {@link settled} would not wait. */
  get isSettled(): boolean {
    return this.#closing.length === 0
  }

  /** Resolves when no connection holds a page any more, which a destroyed one does until it is closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#closing)
  }

  /** Listens no more. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.#aborted)
  }
}
