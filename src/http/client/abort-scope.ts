/** Ends one transfer's connections and waits when its signal aborts. */

import { setMaxListeners } from 'node:events'
import type { HttpConnection } from './http-connection.ts'

export class AbortScope {
  /** Created on demand, since it is not cheap and most transfers of small bodies do without it. */
  #controller: AbortController | undefined
  /** The only connection of most transfers, which then need no set. */
  #connection: HttpConnection | undefined
  #others: Set<HttpConnection> | undefined
  #closing: Promise<void>[] = []
  readonly #signal: AbortSignal | undefined
  readonly #aborted: () => void
  #reason: Error | undefined

  constructor(signal: AbortSignal | undefined, makeReason: (cause: unknown) => Error) {
    this.#signal = signal
    this.#aborted = () => this.abort(makeReason(signal?.reason))
    // Many transfers may share a signal, and Node.js would warn of a leak.
    if (signal !== undefined) setMaxListeners(0, signal)
    if (signal?.aborted) this.#aborted()
    else signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  /** Aborted with {@link abort}'s reason. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      // Connection attempts and waits listen. With ranges there are several of them.
      setMaxListeners(0, this.#controller.signal)
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Throws the reason after an abort. */
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

  /** Adds a connection, which an abort destroys. */
  add(connection: HttpConnection): void {
    if (this.#connection === undefined) {
      this.#connection = connection
    } else {
      this.#others ??= new Set()
      this.#others.add(connection)
    }
    if (this.#reason !== undefined) connection.transport.destroy(this.#reason)
  }

  /** Removes a connection whose exchange has ended. */
  remove(connection: HttpConnection): void {
    if (this.#connection === connection) this.#connection = undefined
    else this.#others?.delete(connection)
    if (connection.transport.state.kind !== 'open') this.#closing.push(connection.transport.closed)
  }

  /** True if {@link settled} would not wait. */
  get isSettled(): boolean {
    return this.#closing.length === 0
  }

  /** Resolves when all destroyed connections are closed. They may hold a page until then. */
  async settled(): Promise<void> {
    await Promise.all(this.#closing)
  }

  /** Stops listening to the signal. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.#aborted)
  }
}
