/**
 * Handles: `Page` and `NetIov`, and `Netmem` for either. To the compiler they are opaque and
 * nothing converts to or from them; at run time they are 31-bit integers:
 *
 * ```
 * 30        21 20                 1  0
 * [generation][      index        ][tag]     tag 0: page, 1: net_iov
 * ```
 *
 * The index is a slot of the thread's handle space, of which every pool claims a range, so that
 * a handle of another pool is known as such. The generation goes up each time a slot is given
 * back. As in the kernel the lowest bit tells the kinds apart (Linux, include/net/netmem.h).
 *
 * Every cast of this project that makes or opens a handle is in this file.
 */

import { ArgumentRangeError } from './errors.ts'

declare const kind: unique symbol
declare const nobody: unique symbol

/** A slot of host-readable memory: its bytes may be asked for. */
export interface Page {
  readonly [kind]: 'page'
}

/** A slot of device memory: a place inside a dma-buf, with no host address. */
export interface NetIov {
  readonly [kind]: 'net_iov'
}

/** A handle that is either; narrow it with {@link isPage} or {@link isNetIov}. */
export type Netmem = Page | NetIov

/** The name of a handle's kind, as data carries it. */
export type KindOf<M extends Netmem> = M extends Page ? 'page' : 'net_iov'

/** A type without values. */
interface Nobody {
  readonly [nobody]: never
}

/**
 * `M` as a parameter that no structural type can widen. TypeScript compares the parameters of a
 * method in both directions and takes either as a match, so `{ put(m: Netmem): void }` would
 * accept a pool of pages; the member that nobody has makes both directions fail.
 */
export type Exactly<M extends Netmem> = M | Nobody

/** {@link TAG}, not exported: an engine folds a module's own constants, and loads exported ones each time. */
const NET_IOV = 1

/** Whether the memory behind `m` is host-readable. */
export function isPage(m: Netmem): m is Page {
  return (bits(m) & NET_IOV) === 0
}

/** Whether the memory behind `m` is device memory. */
export function isNetIov(m: Netmem): m is NetIov {
  return (bits(m) & NET_IOV) === NET_IOV
}

// What follows is for the pool alone; index.ts does not export it.

export const TAG: number = NET_IOV
export const INDEX_SHIFT = 1
const INDEX_BITS = 20
export const INDEX_MASK: number = (1 << INDEX_BITS) - 1
/** Adding it makes the next generation of a handle, once masked with {@link HANDLE_MASK}. */
export const GENERATION_STEP: number = 1 << (INDEX_SHIFT + INDEX_BITS)
export const HANDLE_MASK = 0x7fff_ffff
/** Slots that all pools of a thread may have together; the last index stays unused. */
export const MAX_SLOTS: number = (1 << INDEX_BITS) - 1

/** The integer a handle is. */
export function bits(m: Exactly<Netmem>): number {
  return m as unknown as number
}

/** Makes a handle of `M` from an integer that came from {@link bits} or {@link claimHandles}. */
export function mint<M extends Netmem>(handle: number): M {
  return handle as unknown as M
}

interface IndexRange {
  readonly base: number
  readonly slots: number
}

/** Claimed ranges of this thread's handle space, by ascending base. */
const ranges: IndexRange[] = []

const GENERATION_MASK: number = HANDLE_MASK & ~(GENERATION_STEP - 1)

/** The generation each index has come to, so that the handles of a destroyed pool are stale in its successor. */
let generations: Int32Array = new Int32Array(0)

/** Claims `slots` neighbouring indices: the first one, and each slot's first handle. Throws NETMEM_OUT_OF_RANGE when none are left. */
export function claimHandles(
  ofKind: 'page' | 'net_iov',
  slots: number,
): { readonly base: number; readonly handles: Int32Array } {
  let base = 0
  let at = 0
  for (; at < ranges.length; at++) {
    const range = ranges[at]
    if (range === undefined || range.base - base >= slots) break
    base = range.base + range.slots
  }
  if (base + slots > MAX_SLOTS) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `${slots} more pages do not fit: a thread's pools have at most ${MAX_SLOTS} together. Use larger pages, or destroy pools that are no longer needed.`,
    )
  }
  ranges.splice(at, 0, { base, slots })
  const tag = ofKind === 'page' ? 0 : TAG
  const handles = new Int32Array(slots)
  for (let slot = 0; slot < slots; slot++) {
    const index = base + slot
    handles[slot] = (generations[index] ?? GENERATION_STEP) | (index << INDEX_SHIFT) | tag
  }
  return { base, handles }
}

/** Gives back what {@link claimHandles} claimed; `handles` are those that come next. */
export function releaseHandles(base: number, handles: Int32Array): void {
  const at = ranges.findIndex((range) => range.base === base)
  if (at >= 0) ranges.splice(at, 1)
  const end = base + handles.length
  if (generations.length < end) {
    const longer = new Int32Array(end).fill(GENERATION_STEP)
    longer.set(generations)
    generations = longer
  }
  for (const [slot, handle] of handles.entries()) {
    generations[base + slot] = handle & GENERATION_MASK
  }
}

/** Whether `index` belongs to a pool of this thread. */
export function isClaimed(index: number): boolean {
  return ranges.some((range) => index >= range.base && index < range.base + range.slots)
}
