/** Who waits for something to happen: each is called once, in the order they came. */
export class Waiters {
  #callbacks: (() => void)[] = []

  get waiting(): boolean {
    return this.#callbacks.length > 0
  }

  add(callback: () => void): void {
    this.#callbacks.push(callback)
  }

  /** Calls those who wait now; whoever waits again meanwhile is for the next time. */
  wake(): void {
    const callbacks = this.#callbacks
    this.#callbacks = []
    for (const callback of callbacks) {
      try {
        callback()
      } catch (error) {
        // Uncaught, as from an event: whoever wakes them has no part in it, nor have the others.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
