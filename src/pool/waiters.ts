/** Callbacks that wait for an event. Each is called once, in order. */
export class Waiters {
  // Mostly one waits, often: beside the others, it costs no array each time.
  #first: (() => void) | undefined
  #others: (() => void)[] = []

  get waiting(): boolean {
    return this.#first !== undefined
  }

  add(callback: () => void): void {
    if (this.#first === undefined) this.#first = callback
    else this.#others.push(callback)
  }

  /** Calls the callbacks that wait now. One that is added by a callback waits for the next event. */
  wake(): void {
    const first = this.#first
    const others = this.#others
    if (first === undefined) return
    this.#first = undefined
    if (others.length > 0) this.#others = []
    call(first)
    // Those of an array that stays are of the next event.
    if (others !== this.#others) for (const callback of others) call(callback)
  }
}

function call(callback: () => void): void {
  try {
    callback()
  } catch (error) {
    // Uncaught, as from an event. The other callbacks and the caller are not affected.
    queueMicrotask(() => {
      throw error
    })
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
