/** Breaks off whatever a transfer does at the moment: connections, connecting, waiting. */

import { setMaxListeners } from 'node:events'
import type { Wire } from './wire.ts'

export class Abortion {
  /** Made when somebody asks: most transfers of small bodies need none, and it is not cheap. */
  #controller: AbortController | undefined
  /** Nearly always there is one at a time, for which no set is made. */
  #wire: Wire | undefined
  #others: Set<Wire> | undefined
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
    this.#wire?.connection.destroy(reason)
    for (const wire of this.#others ?? []) wire.connection.destroy(reason)
  }

  /** From now on the connection ends with the transfer. */
  add(wire: Wire): void {
    if (this.#wire === undefined) {
      this.#wire = wire
    } else {
      this.#others ??= new Set()
      this.#others.add(wire)
    }
    if (this.#reason !== undefined) wire.connection.destroy(this.#reason)
  }

  /** The connection is done with, and has been destroyed unless it goes on. */
  remove(wire: Wire): void {
    if (this.#wire === wire) this.#wire = undefined
    else this.#others?.delete(wire)
    if (wire.connection.state.kind !== 'open') this.#closing.push(wire.connection.closed)
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
