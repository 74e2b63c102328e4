/** A provider opened without a pool, and every answer of its checked at once. */

import assert from 'node:assert/strict'
import type { Exactly, Netmem } from '../netmem.ts'
import * as netmem from '../netmem.ts'
import type { MemoryProvider } from '../pool/memory-provider.ts'

/** Provider as a pool uses it, by the numbers of slots. */
export interface OpenedForTest<M extends Netmem> {
  /** Slots that the provider has given. */
  readonly out: ReadonlySet<number>
  /** The handle of a slot that is out. */
  readonly handle: (slot: number) => M
  /** Asks for `want` slots. Returns the slots that it gave. */
  readonly alloc: (want: number) => number[]
  /** {@link alloc} that waits, where the provider is dry for a while, until it gives something. */
  readonly allocSome: (want: number) => Promise<number[]>
  /** Takes all that the provider has. */
  readonly allocAll: () => Promise<void>
  readonly release: (slot: number) => void
  /** Releases what is out and leaves the provider to the next pool. */
  readonly close: () => void
}

function refuse(): never {
  assert.fail('The provider was opened without a pool: nothing but release() takes its handles.')
}

export function openForTest<M extends Netmem>(provider: MemoryProvider<M>): OpenedForTest<M> {
  const owner = { retain: refuse, put: refuse, bytes: refuse, place: refuse }
  const { base, handles } = netmem.claimHandles(provider.kind, provider.capacity, owner)
  const out = new Set<number>()
  const slotOf = (m: Exactly<M>): number => netmem.indexOf(netmem.bits(m)) - base
  const handle = (slot: number): M => {
    const bits = handles[slot]
    assert.ok(bits !== undefined, `slot ${slot} is within the capacity`)
    return netmem.mint<M>(bits)
  }
  try {
    provider.init({ mint: handle, slot: slotOf })
  } catch (error) {
    netmem.releaseHandles(owner)
    throw error
  }
  let back = (): void => {}
  provider.onAvailable?.(() => back())
  const alloc = (want: number): number[] => {
    const given: number[] = []
    provider.alloc(want, (m) => {
      const slot = slotOf(m)
      assert.equal(netmem.bits(m), handles[slot], 'what it gives was made by mint()')
      assert.ok(!out.has(slot), `slot ${slot} is given while it is out`)
      out.add(slot)
      given.push(slot)
    })
    assert.ok(given.length <= want, `alloc(${want}) gives at most ${want}, not ${given.length}`)
    return given
  }
  const allocSome = async (want: number): Promise<number[]> => {
    const available = new Promise<void>((resolve) => {
      back = resolve
    })
    const given = alloc(want)
    if (given.length > 0 || provider.onAvailable === undefined) return given
    await available
    const later = alloc(want)
    assert.ok(later.length > 0, 'it gives something once it has called the listener')
    return later
  }
  const release = (slot: number): void => {
    assert.ok(out.delete(slot))
    // Given back under the next generation, as the pool does.
    const bits = (netmem.bits(handle(slot)) + netmem.LAYOUT.GENERATION_STEP) | 0
    handles[slot] = bits
    provider.release(netmem.mint<M>(bits))
  }
  return {
    out,
    handle,
    alloc,
    release,
    allocSome,
    allocAll: async () => {
      while (out.size < provider.capacity) {
        const given = await allocSome(64)
        assert.ok(given.length > 0, 'alloc gives as many as capacity says')
      }
    },
    close: () => {
      for (const slot of out) release(slot)
      assert.equal(out.size, 0)
      provider.destroy()
      netmem.releaseHandles(owner)
    },
  }
}
