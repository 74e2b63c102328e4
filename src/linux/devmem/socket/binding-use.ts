/**
 * Tokens of each binding that this thread holds: with applications, or waiting to go back. A card whose
 * binding is used up drops packets, so what is held decides how soon tokens go back.
 */

import type { OfferedBinding } from '../../dma-buf/offer-dma-buf.ts'

/** Tokens that wait at most where the size of a binding is unknown. */
const UNKNOWN_SIZE_TOKENS = 64
/** Part of a binding that tokens may hold before they go back at once. */
const PART = 4
/** Bytes that a token keeps from the card: its whole net_iov, a memory page unless bound with `rxPageSize`. */
const NET_IOV_BYTES = 4096

/** A binding as a connection needs to know it: `bindRx` returns one, and `receiveDmaBuf` another. */
export interface BoundMemory extends OfferedBinding {
  /** The dma-buf. Its size decides how many tokens may be held before they go back one by one. */
  readonly dmabuf?: {
    /** Size in bytes. */
    readonly bytes: number
  }
}

/** Tokens of one binding, over all connections of this thread. */
export class BindingUse {
  readonly binding: BoundMemory
  /** Tokens that are not given back. */
  tokens = 0
  readonly #most: number

  constructor(binding: BoundMemory) {
    const bytes = binding.dmabuf?.bytes
    this.binding = binding
    this.#most =
      bytes === undefined ? UNKNOWN_SIZE_TOKENS : Math.floor(bytes / NET_IOV_BYTES / PART)
  }

  /** True if released tokens are to go back at once. */
  get pressed(): boolean {
    return this.tokens > this.#most
  }
}

const uses = new WeakMap<BoundMemory, BindingUse>()

/** Returns the use of a binding in this thread. */
export function useOf(binding: BoundMemory): BindingUse {
  let use = uses.get(binding)
  if (use === undefined) {
    use = new BindingUse(binding)
    uses.set(binding, use)
  }
  return use
}
