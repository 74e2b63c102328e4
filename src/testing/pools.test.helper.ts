/** Helpers for tests of pools. Not published. */

import assert from 'node:assert/strict'
import { type ErrorCode, isNetmemError } from '../errors.ts'
import type { Exactly, Netmem } from '../netmem.ts'
import type { MemoryProvider } from '../pool/memory-provider.ts'

/** Pool of either kind, as its end needs it. */
export interface Endable {
  readonly out: number
  readonly inflight: number
  destroy(): Promise<void>
}

/** Every test of a pool ends with it: nothing is out, destroy resolves, nothing is in flight. */
export async function end(...pools: Endable[]): Promise<void> {
  for (const pool of pools) {
    assert.equal(pool.out, 0, 'nothing is out')
    await pool.destroy()
    assert.equal(pool.out, 0)
    assert.equal(pool.inflight, 0, 'nothing is in flight')
  }
}

/** Returns the code that `action` throws with. Fails when it does not throw, or throws no error of netmem. */
export function codeOf(action: () => unknown): ErrorCode {
  try {
    action()
  } catch (error) {
    assert.ok(isNetmemError(error), `an error with a code, not ${error}`)
    assert.ok(error.message.length > 10 && error.message.endsWith('.'), error.message)
    return error.code
  }
  return assert.fail('it does not throw')
}

/** `action` throws with that code. */
export function assertCode(code: ErrorCode, action: () => unknown, what?: string): void {
  assert.equal(codeOf(action), code, what)
}

/** `value`, which is there. */
export function some<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}

/** `count` of `take()`, all of which are there. */
export function take<T>(count: number, pool: { alloc(): T | undefined }): T[] {
  return Array.from({ length: count }, () => some(pool.alloc()))
}

/** Calls of a pool to its provider, by slots and in order. */
export interface ProviderLog<M extends Netmem> {
  given: number[]
  released: number[]
  /** Count that each alloc asked for. */
  wanted: number[]
  inits: number
  destroys: number
  /** The slot of a handle, while a pool has the provider open. */
  slot: (m: Exactly<M>) => number
}

/** Operations of `provider` that also keep a log, to be spread over the provider. */
export function logged<M extends Netmem>(
  provider: MemoryProvider<M>,
): Pick<MemoryProvider<M>, 'init' | 'alloc' | 'release' | 'destroy'> & {
  readonly log: ProviderLog<M>
} {
  const log: ProviderLog<M> = {
    given: [],
    released: [],
    wanted: [],
    inits: 0,
    destroys: 0,
    slot: () => -1,
  }
  return {
    log,
    init: (slots) => {
      provider.init(slots)
      log.inits++
      log.slot = slots.slot
    },
    alloc: (want, give) => {
      log.wanted.push(want)
      provider.alloc(want, (m) => {
        log.given.push(log.slot(m))
        give(m)
      })
    },
    release: (m) => {
      log.released.push(log.slot(m))
      provider.release(m)
    },
    destroy: () => {
      log.destroys++
      provider.destroy()
    },
  }
}

/** Holds code that is compiled and never run. */
export function compiled(_code: unknown): void {}
