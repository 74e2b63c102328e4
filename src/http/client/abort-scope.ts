/** Ends one transfer's connections and waits when its signal aborts. */

import { setMaxListeners } from 'node:events'
import type { Connection } from '../../connection.ts'
import { aborted } from '../../net/internal.ts'

export class AbortScope {
  /** Created on demand, since it is not cheap and most transfers of small bodies do without it. */
  #controller: AbortController | undefined
  readonly #connections = new Set<Connection>()
  readonly #closing: Promise<void>[] = []
  readonly #signal: AbortSignal | undefined
  readonly #aborted: () => void
  #reason: Error | undefined

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    this.#aborted = () => this.abort(aborted(signal?.reason))
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
    for (const connection of this.#connections) connection.destroy(reason)
  }

  /** Adds a connection, which an abort destroys. */
  add(connection: Connection): void {
    this.#connections.add(connection)
    if (this.#reason !== undefined) connection.destroy(this.#reason)
  }

  /** Removes a connection whose exchange has ended. */
  remove(connection: Connection): void {
    this.#connections.delete(connection)
    if (connection.state.kind !== 'open') this.#closing.push(connection.closed)
  }

  /** Resolves when all destroyed connections are closed. They may hold a page until then. */
  async settled(): Promise<void> {
    if (this.#closing.length > 0) await Promise.all(this.#closing)
  }

  /** Stops listening to the signal. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.#aborted)
  }
}
