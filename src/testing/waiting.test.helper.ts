/** Waiting for events in tests, and moving time by hand. Not published. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'

/** Bounds a hang, never an event: a busy machine takes a small part of it. */
const HANG_MS = 300_000

/** Waits until `condition` holds. `what`, or what it returns, is what a hang is reported with. */
export async function until(
  condition: () => boolean,
  what: string | (() => string) = String(condition),
): Promise<void> {
  for (const started = Date.now(); !condition(); ) {
    if (Date.now() - started >= HANG_MS) {
      assert.fail(`never came true: ${typeof what === 'string' ? what : what()}`)
    }
    await sleep(1)
  }
}

/**
 * Lets the event loop take `count` turns. Each polls every socket of the process once, so that what
 * one end has sent reaches the other end, if that end reads at all.
 */
export async function turns(count = 20): Promise<void> {
  for (let taken = 0; taken < count; taken++) await turn()
}

/** Calls `pump` between turns of the event loop until `done`. */
export async function pumping(pump: () => void, done: () => boolean): Promise<void> {
  while (!done()) {
    pump()
    await turns(1)
  }
}

/** Waits until `value` stays the same over `count` turns of the event loop, and returns it. */
export async function settled<T>(value: () => T, count = 50): Promise<T> {
  let last = value()
  for (let same = 0; same < count; same++) {
    await turn()
    if (value() !== last) same = -1
    last = value()
  }
  return last
}

interface VirtualTimer {
  readonly callback: () => void
  readonly ms: number
  readonly repeats: boolean
  dueAt: number
  sequence: number
}

/**
 * A clock that only its test moves. While the test runs, the global timers and `performance.now` are
 * this clock's. Timers of Node.js itself, and of `node:timers/promises`, stay real. (Mock timers of `node:test` do not support `refresh()` of a timer that has fired.)
 */
export class VirtualClock {
  /** Whole milliseconds, so that differences are exact. */
  #now = Math.ceil(performance.now())
  #sequence = 0
  readonly #timers = new Set<VirtualTimer>()

  constructor({ mock }: Pick<TestContext, 'mock'>) {
    mock.method(performance, 'now', () => this.#now)
    for (const repeats of [false, true]) {
      mock.method(
        globalThis,
        repeats ? 'setInterval' : 'setTimeout',
        (callback: () => void, ms: number) =>
          this.#start({ callback, ms, repeats, dueAt: 0, sequence: 0 }),
      )
      mock.method(
        globalThis,
        repeats ? 'clearInterval' : 'clearTimeout',
        (timer: VirtualTimer) => void this.#timers.delete(timer),
      )
    }
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size
  }

  /** Moves time by `ms`, and fires the timers that become due, in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#timers]
        .filter(({ dueAt }) => dueAt <= end)
        .sort((a, b) => a.dueAt - b.dueAt || a.sequence - b.sequence)
      if (next === undefined) break
      this.#now = Math.max(this.#now, next.dueAt)
      if (next.repeats) next.dueAt += next.ms
      else this.#timers.delete(next)
      next.callback()
    }
    this.#now = end
  }

  #start(timer: VirtualTimer): VirtualTimer & { ref(): unknown; unref(): unknown } {
    const handle = Object.assign(timer, {
      ref: () => handle,
      unref: () => handle,
      refresh: () => this.#start(handle),
    })
    handle.dueAt = this.#now + handle.ms
    handle.sequence = ++this.#sequence
    this.#timers.add(handle)
    return handle
  }
}
