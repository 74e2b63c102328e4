/** Counts this process's garbage collections. */

import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

/** Collections of the young generation, and all others. */
export interface CollectionCount {
  readonly minor: number
  readonly major: number
}

export class Collections {
  readonly #entries: { readonly startTime: number; readonly minor: boolean }[] = []
  readonly #observer: PerformanceObserver
  #since = Number.POSITIVE_INFINITY

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        this.#entries.push({ startTime: entry.startTime, minor: isMinor(entry) })
      }
    })
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  /** Counts from now on, after a full collection of what came before. */
  start(): void {
    globalThis.gc?.()
    this.#since = performance.now()
  }

  /** Collections since {@link start}. */
  async stop(): Promise<CollectionCount> {
    const until = performance.now()
    // Entries are delivered a turn later.
    await setTimeout(50)
    this.#observer.disconnect()
    const counted = this.#entries.filter(
      ({ startTime }) => startTime >= this.#since && startTime <= until,
    )
    const minor = counted.filter((entry) => entry.minor).length
    return { minor, major: counted.length - minor }
  }
}

/** The detail of a `gc` entry is missing from the types. */
function isMinor(entry: object): boolean {
  const detail: unknown = Reflect.get(entry, 'detail')
  return (
    typeof detail === 'object' &&
    detail !== null &&
    Reflect.get(detail, 'kind') === constants.NODE_PERFORMANCE_GC_MINOR
  )
}
