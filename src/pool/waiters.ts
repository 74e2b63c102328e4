/** Callbacks that wait for an event. Each is called once, in order. */
export class Waiters {
  #callbacks: (() => void)[] = []

  get waiting(): boolean {
    return this.#callbacks.length > 0
  }

  add(callback: () => void): void {
    this.#callbacks.push(callback)
  }

  /** Calls the callbacks that wait now. One that is added by a callback waits for the next event. */
  wake(): void {
    const callbacks = this.#callbacks
    this.#callbacks = []
    for (const callback of callbacks) {
      try {
        callback()
      } catch (error) {
        // Uncaught, as from an event. The other callbacks and the caller are not affected.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

/** A promise, and what resolves it. */
export interface Deferred {
  readonly promise: Promise<void>
  readonly resolve: () => void
}

/** Makes a promise to be resolved later. */
export function deferred(): Deferred {
  let resolve = (): void => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
