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
export interface Deferred<T = void> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

/** Makes a promise to be resolved later. */
export function deferred<T = void>(): Deferred<T> {
  let resolve = (_value: T): void => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
