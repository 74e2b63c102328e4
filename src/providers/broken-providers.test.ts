import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exactly, Page } from '../netmem.ts'
import { createPool, dualPool } from '../pool/create-pool.ts'
import type { PageProvider, Slots } from '../pool/memory-provider.ts'
import { providerConformance, testDeviceProvider } from '../testing/index.ts'
import { assertCode, codeOf, end, some } from '../testing/pools.test.helper.ts'
import { hostProvider } from './host.ts'
import { sharedProvider } from './shared.ts'
import { createSlotAllocator } from './slot-allocator.ts'

const pageSize = 4096

/** A provider of four pages with some of its operations replaced. `slots` is what its pool gave it. */
function tampered(
  replace: (provider: PageProvider, slots: () => Slots<Page>) => Partial<PageProvider>,
): PageProvider {
  const provider = hostProvider({ pages: 4, pageSize })
  let slots: Slots<Page> | undefined
  const init = (given: Slots<Page>): void => {
    slots = given
    provider.init(given)
  }
  return { ...provider, init, ...replace(provider, () => some(slots)) }
}

const breakAlloc: Record<string, Parameters<typeof tampered>[0]> = {
  'gives a slot twice in one call': (_, slots) => ({
    alloc: (_want, give) => {
      const page = slots().mint(0)
      give(page)
      give(page)
    },
  }),
  'gives a slot that is out': (_, slots) => ({
    alloc: (_want, give) => give(slots().mint(0)),
  }),
  'gives a slot that it does not have': (_, slots) => ({
    alloc: (_want, give) => give(slots().mint(4)),
  }),
  'gives a fractional slot': (_, slots) => ({
    alloc: (_want, give) => give(slots().mint(0.5)),
  }),
  'gives more than it is asked for': () => ({
    ...manyPages(),
    alloc: (_want, give) => {
      const { mint } = some(manyPages.slots)
      for (let slot = 0; slot < 65; slot++) give(mint(slot))
    },
  }),
  'gives a handle of its own making': () => ({
    alloc: (_want, give) => (give as (m: unknown) => void)(12_345_678),
  }),
  'gives what is no handle': () => ({
    alloc: (_want, give) => (give as (m: unknown) => void)(undefined),
  }),
}

/** More pages than a pool asks for at once. */
function manyPages(): PageProvider {
  const provider = hostProvider({ pages: 200, pageSize })
  const init = (slots: Slots<Page>): void => {
    manyPages.slots = slots
    provider.init(slots)
  }
  return { ...provider, init }
}
manyPages.slots = undefined as Slots<Page> | undefined

for (const [what, replace] of Object.entries(breakAlloc)) {
  test(`a pool refuses a provider that ${what}`, async () => {
    const pool = createPool(tampered(replace))
    const taken: Page[] = []
    const failed = codeOf(() => {
      for (let calls = 0; calls < 10; calls++) taken.push(some(pool.alloc()))
    })
    assert.equal(failed, 'NETMEM_PROVIDER_BROKEN')
    assert.equal(new Set(taken).size, taken.length)
    // The pool keeps the pages that it got before, and its accounts are in order.
    assert.equal(pool.out, taken.length)
    for (const page of taken) pool.put(page)
    assert.equal(pool.stats().recycle.cached, taken.length)
    await end(pool)
  })
}

test('a provider that made a handle itself is told so', async () => {
  const forge = tampered(() => ({
    alloc: (_want, give) => (give as (m: unknown) => void)(12_345_678),
  }))
  await using pool = createPool(forge)
  assert.throws(() => pool.alloc(), /gave a handle that slots\.mint\(\) did not make/)
})

test('a pool refuses what is no provider', () => {
  for (const none of [undefined, null, {}, 4, { ...hostProvider({ pages: 1 }), kind: 'pages' }]) {
    const provider = none as unknown as PageProvider
    assertCode('NETMEM_INVALID_ARGUMENT', () => createPool(provider))
    assertCode('NETMEM_INVALID_ARGUMENT', () => dualPool(provider))
  }
})

test('a pool refuses a view of another size than the page', async () => {
  for (const size of [0, pageSize - 1, pageSize + 1, 2 * pageSize]) {
    const pool = createPool(tampered(() => ({ bytes: () => new Uint8Array(size) })))
    const page = some(pool.alloc())
    assertCode('NETMEM_PROVIDER_BROKEN', () => pool.bytes(page))
    pool.put(page)
    await end(pool)
  }
})

test('a pool refuses a provider of impossible sizes and takes nothing for it', () => {
  for (const bad of [
    { pageSize: 1000 },
    { pageSize: Number.NaN },
    { capacity: 0 },
    { capacity: 2 ** 20 },
  ]) {
    let inits = 0
    const provider = tampered(() => ({ ...bad, init: () => inits++ }))
    assertCode('NETMEM_OUT_OF_RANGE', () => createPool(provider))
    assert.equal(inits, 0)
  }
  const badRing = (ringSize: number) => () =>
    createPool(hostProvider({ pages: 1, pageSize }), { ringSize })
  for (const size of [0, -1, 1.5, 16_385, Number.NaN]) {
    assertCode('NETMEM_OUT_OF_RANGE', badRing(size))
  }
})

test('the operations of createSlotAllocator need a pool', () => {
  const { alloc, slot, destroy } = createSlotAllocator<Page>(1)
  assertCode('NETMEM_PROVIDER_UNOPENED', () => alloc(1, () => {}))
  assertCode('NETMEM_PROVIDER_UNOPENED', () => slot(5 as unknown as Page))
  destroy()
})

test('a provider that is busy, or throws when opened, leaves no trace', async () => {
  const provider = hostProvider({ pages: 4, pageSize })
  const pool = createPool(provider)
  for (let attempts = 0; attempts < 3; attempts++) {
    assertCode('NETMEM_PROVIDER_BUSY', () => createPool(provider))
    assertCode('NETMEM_PROVIDER_BUSY', () => dualPool(provider))
  }
  const throwing = tampered(() => ({
    init: () => {
      throw new Error('not today')
    },
  }))
  // The handle space would be used up if each attempt kept its share.
  for (let attempts = 0; attempts < 300; attempts++) {
    assert.throws(() => createPool({ ...throwing, capacity: 100_000 }), /not today/)
  }
  await end(pool)
})

test('a thread has 131,008 handles; a destroyed pool gives its own back', async () => {
  const huge = testDeviceProvider({ netIovs: 131_008 })
  const pool = createPool(huge)
  assertCode('NETMEM_OUT_OF_RANGE', () => createPool(hostProvider({ pages: 1, pageSize })))
  await end(pool)
  await end(
    createPool(hostProvider({ pages: 1, pageSize })),
    createPool(testDeviceProvider({ netIovs: 9 })),
  )
})

test('a provider that is an object with methods and getters of its own works', async () => {
  class OwnProvider implements PageProvider {
    readonly kind = 'page'
    readonly pageSize = pageSize
    readonly capacity = 4
    readonly #slots = createSlotAllocator<Page>(4)
    #allocs = 0
    #destroys = 0
    readonly #memory = new ArrayBuffer(4 * pageSize)
    init(slots: Slots<Page>) {
      this.#slots.init(slots)
    }
    alloc(want: number, give: (m: Page) => void) {
      this.#allocs++
      this.#slots.alloc(want, give)
    }
    release(page: Exactly<Page>) {
      this.#slots.release(page)
    }
    bytes(page: Exactly<Page>) {
      return new Uint8Array(this.#memory, this.#slots.slot(page) * pageSize, pageSize)
    }
    destroy() {
      this.#destroys++
      this.#slots.destroy()
    }
    get destroys() {
      return this.#destroys
    }
    get counters() {
      return { waive: this.#allocs, slow_high_order: 10 * this.#allocs }
    }
  }
  const provider = new OwnProvider()
  const pool = createPool(provider)
  pool.put(some(pool.alloc()))
  assert.equal(pool.stats().alloc.waive, 1)
  assert.equal(pool.stats().alloc.slow_high_order, 10)
  await end(pool)
  assert.equal(provider.destroys, 1)
})

/** The names of the conformance tests that `makeProvider` fails. */
async function failures(makeProvider: () => PageProvider): Promise<string[]> {
  const tests: { name: string; body: () => void | Promise<void> }[] = []
  providerConformance('p', makeProvider, { test: (name, body) => tests.push({ name, body }) })
  const failed: string[] = []
  for (const { name, body } of tests) {
    try {
      await body()
    } catch {
      failed.push(name)
    }
  }
  return failed
}

test('the conformance tests fail what is broken, and nothing else', async () => {
  assert.deepEqual(await failures(() => tampered(() => ({}))), [])
  for (const replace of Object.values(breakAlloc)) {
    assert.notDeepEqual(await failures(() => tampered(replace)), [])
  }
  const memory = new ArrayBuffer(8 * pageSize)
  const subtle: Record<string, Parameters<typeof tampered>[0]> = {
    'overlapping pages': (_, slots) => ({
      bytes: (page) => new Uint8Array(memory, (slots().slot(page) * pageSize) / 2, pageSize),
    }),
    'memory that changes': (_, slots) => ({
      bytes: (page) => new Uint8Array(pageSize).fill(slots().slot(page)),
    }),
    'short views': (provider) => ({ bytes: (page) => provider.bytes(page).subarray(1) }),
    'a lost release': () => ({ release: () => {} }),
    'an alloc that keeps one back': (provider) => ({ capacity: provider.capacity + 1 }),
    'no guard against a second pool': (provider) => ({
      init: (slots) => {
        provider.destroy()
        provider.init(slots)
      },
    }),
    'a destroy that does nothing': () => ({ destroy: () => {} }),
    'shared memory that is elsewhere': () => ({
      shared: { buffer: new SharedArrayBuffer(4 * pageSize), offset: 0 },
    }),
    'an odd page size': () => ({ pageSize: 5000 }),
  }
  for (const [what, replace] of Object.entries(subtle)) {
    assert.notDeepEqual(await failures(() => tampered(replace)), [], what)
  }
  const gap = sharedProvider({ pages: 4, pageSize })
  assert.notDeepEqual(
    await failures(() => ({ ...gap, shared: { ...some(gap.shared), offset: 1 } })),
    [],
  )
})
