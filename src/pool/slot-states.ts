/**
 * States of a pool's slots. One 32-bit integer per slot carries all run-time checks: the slot's
 * present handle, so that one comparison proves kind, generation, pool and sole ownership, or
 * `SHARED`, with the references counted beside. A slot that rests has the handle that comes next.
 */

import * as netmem from '../netmem.ts'

const { INDEX_MASK, INDEX_SHIFT } = netmem.LAYOUT

/** State of a slot with several references, or whose page is partly filled. No handle is −1. */
export const SHARED = -1

export class SlotStates {
  // Declared: fields that the class made would be `undefined` first, and be checked at each use.
  /** Index of the first slot. */
  declare readonly base: number
  /** Index behind the last slot. */
  declare readonly end: number
  declare state: Int32Array
  // Made when the first slot is shared, since most pools share no slots.
  #counts: Int32Array | undefined
  #handles: Int32Array | undefined

  constructor(base: number, state: Int32Array) {
    this.base = base
    this.state = state
    this.end = base + state.length
  }

  /** Slot of a handle. Outside of 0 to capacity − 1 for a handle of another pool. */
  slot(handle: number): number {
    return ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.base
  }

  /** True for a handle that is out. A handle that was put names an earlier use of its slot. */
  isOut(handle: number): boolean {
    const slot = this.slot(handle)
    // NaN: beyond the slots, where `undefined` would equal an undefined handle.
    const state = this.state[slot] ?? NaN
    return state === handle || (state === SHARED && this.#handles?.[slot] === handle)
  }

  /** Lists the present handle of each slot that the provider has given, resting ones included. */
  givenHandles(isGiven: (handle: number) => boolean): number[] {
    const handles: number[] = []
    for (const [slot, state] of this.state.entries()) {
      const handle = state === SHARED ? (this.#handles?.[slot] ?? SHARED) : state
      if (isGiven(handle)) handles.push(handle)
    }
    return handles
  }

  /** References of a slot that is out. */
  references(slot: number): number {
    return this.state[slot] === SHARED ? (this.#counts?.[slot] ?? 0) : 1
  }

  /** Sets the references of a slot that is out under `handle`, and keeps puts on the slow path. */
  share(slot: number, handle: number, references: number): void {
    this.#counts ??= new Int32Array(this.state.length)
    this.#handles ??= new Int32Array(this.state.length)
    this.state[slot] = SHARED
    this.#counts[slot] = references
    this.#handles[slot] = handle
  }

  /** Makes `handle` the only reference of its slot. */
  unshare(slot: number, handle: number): void {
    this.state[slot] = handle
  }

  /** Forgets all slots: another pool may claim them. */
  close(): void {
    this.state = new Int32Array(0)
  }
}
