/** The pool's view of a provider: integers instead of handles, and checks of all results. */

import { HandleError, LifetimeError } from '../errors.ts'
import { bits, indexOf, mint, type Netmem, type Place } from '../netmem.ts'
import type { AnyProvider, MemoryProvider, Slots } from './memory-provider.ts'

/** Memory of a provider, by the integers of its handles. */
export interface Source extends Opened {
  /** Bytes of a page: the same view each time. */
  bytes(handle: number, slot: number): Uint8Array
  /** Place of a net_iov: the same object each time. */
  place(handle: number, slot: number): Place
}

interface Opened {
  /** Asks the provider for `want` handles. It may give fewer. */
  alloc(want: number): void
  release(handle: number): void
  /** True if the pool has the handle's slot, cache and ring included. */
  has(handle: number): boolean
}

/** Opens `provider` for a pool with handles from `base` and the states `state`, which gets them by `give`. */
export function createSource(
  provider: AnyProvider,
  base: number,
  state: Int32Array,
  give: (handle: number) => void,
): Source {
  if (provider.kind === 'page') {
    const views: (Uint8Array | undefined)[] = []
    return {
      ...open(provider, base, state, give),
      bytes: (handle, slot) => {
        const known = views[slot]
        // A view is emptied when a WebAssembly memory grows.
        if (known !== undefined && known.byteLength !== 0) return known
        const view = checkView(provider.bytes(mint(handle)), provider.pageSize)
        views[slot] = view
        return view
      },
      place: () => {
        throw new HandleError(
          'NETMEM_WRONG_KIND',
          'A page is in no dma-buf. Ask isNetIov() first, or take its bytes.',
        )
      },
    }
  }
  const { binding } = provider
  const places: (Place | undefined)[] = []
  return {
    ...open(provider, base, state, give),
    bytes: () => {
      throw new HandleError(
        'NETMEM_WRONG_KIND',
        'A net_iov has no bytes on this host. Ask isPage() first, or pass the frag on to its device.',
      )
    },
    place: (handle, slot) => {
      places[slot] ??= { binding, offset: provider.offset(mint(handle)) }
      return places[slot]
    },
  }
}

function open<M extends Netmem>(
  provider: MemoryProvider<M>,
  base: number,
  state: Int32Array,
  give: (handle: number) => void,
): Opened {
  // Marks the slots that the pool has: a provider that gives one twice would alias two receivers.
  const held = new Uint8Array(state.length)
  const slots: Slots<M> = {
    mint: (slot) => {
      const handle = state[slot]
      if (handle === undefined || held[slot] !== 0) {
        throw broken(`made a handle of slot ${slot}, which it does not have`)
      }
      return mint(handle)
    },
    slot: (m) => indexOf(bits(m)) - base,
  }
  provider.init(slots)
  // One function for all calls: a dry pool asks often.
  let want = 0
  let given = 0
  const take = (m: M): void => {
    const slot = slots.slot(m)
    if (given === want) throw broken(`gave more than the ${want} asked for`)
    if (held[slot] === 1) throw broken(`gave slot ${slot} twice`)
    if (held[slot] !== 0 || state[slot] !== bits(m)) {
      throw broken('gave a handle that slots.mint() did not make')
    }
    held[slot] = 1
    given++
    give(bits(m))
  }
  return {
    alloc: (asked) => {
      want = asked
      given = 0
      provider.alloc(asked, take)
    },
    has: (handle) => held[slots.slot(mint<M>(handle))] === 1,
    release: (handle) => {
      held[slots.slot(mint<M>(handle))] = 0
      provider.release(mint<M>(handle))
    },
  }
}

function checkView(view: Uint8Array, pageSize: number): Uint8Array {
  if (view.byteLength === pageSize) return view
  throw broken(`answered ${view.byteLength} bytes for a page of ${pageSize}`)
}

function broken(what: string): LifetimeError {
  return new LifetimeError(
    'NETMEM_PROVIDER_BROKEN',
    `The memory provider ${what}. Run it through providerConformance() of netmem/testing.`,
  )
}
