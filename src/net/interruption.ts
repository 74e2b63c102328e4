/** Interrupts waits for promises that may never settle. */

/**
 * Interrupts one wait after the other. `Promise.race` with a promise that stays pending would add a
 * reaction to it for each wait. This class keeps one function.
 */
export class Interruption {
  #interrupted: { readonly reason: unknown } | undefined
  #reject: ((reason: unknown) => void) | undefined

  /** Rejects the present wait and all later ones. The first reason counts. */
  interrupt(reason: unknown): void {
    if (this.#interrupted !== undefined) return
    this.#interrupted = { reason }
    this.#reject?.(reason)
  }

  /** Settles as `promise` does, or rejects once interrupted. One call at a time. */
  until<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      promise.then(resolve, reject)
      if (this.#interrupted !== undefined) reject(this.#interrupted.reason)
    })
  }
}

/** Settles as `work` does, or rejects with the signal's reason once it is aborted. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
