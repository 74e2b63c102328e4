// Providers that are dry for a while, as staging memory of a GPU is until it is mapped again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { LifetimeError } from '../errors.ts'
import type { Exactly, Page } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import type { PageProvider, Slots } from '../pool/memory-provider.ts'
import { providerConformance } from '../testing/index.ts'
import { end, some, take } from '../testing/pools.test.helper.ts'

const pageSize = 4096

/** Pages that are there a turn of the event loop after they were first asked for, or released. */
class StagingProvider implements PageProvider {
  readonly kind = 'page'
  readonly pageSize = pageSize
  readonly capacity: number
  readonly #memory: Uint8Array[]
  #slots: Slots<Page> | undefined
  #mapped: number[] = []
  #unmapped: number[]
  #listener = (): void => {}
  #asked = false
  #mapping = false

  constructor(pages: number) {
    this.capacity = pages
    this.#memory = Array.from({ length: pages }, () => new Uint8Array(pageSize))
    this.#unmapped = [...this.#memory.keys()]
  }

  init(slots: Slots<Page>): void {
    if (this.#slots !== undefined) {
      throw new LifetimeError('NETMEM_PROVIDER_BUSY', 'Another pool has this provider.')
    }
    this.#slots = slots
  }

  onAvailable(listener: () => void): void {
    this.#listener = listener
  }

  alloc(want: number, give: (page: Page) => void): void {
    const { mint } = some(this.#slots)
    const slots = this.#mapped.splice(0, want)
    this.#asked = slots.length === 0
    for (const slot of slots) give(mint(slot))
    if (this.#mapped.length === 0) this.#map()
  }

  release(page: Exactly<Page>): void {
    this.#unmapped.push(some(this.#slots).slot(page))
    if (this.#asked) this.#map()
  }

  destroy(): void {
    this.#slots = undefined
    this.#asked = false
  }

  bytes(page: Exactly<Page>): Uint8Array {
    return some(this.#memory[some(this.#slots).slot(page)])
  }

  #map(): void {
    if (this.#mapping || this.#unmapped.length === 0) return
    this.#mapping = true
    setImmediate(() => {
      this.#mapping = false
      this.#mapped.push(...this.#unmapped.splice(0))
      if (!this.#asked) return
      this.#asked = false
      this.#listener()
    })
  }
}

providerConformance('a provider that is dry for now', () => new StagingProvider(70))

test('a pool of a provider that is dry for now has nothing, and says when that changes', async () => {
  const pool = createPool(new StagingProvider(70))
  assert.equal(pool.alloc(), undefined)
  assert.equal(pool.available, 0)
  let woken = 0
  pool.notify(() => woken++)
  await pool.whenAvailable()
  assert.equal(woken, 1)
  assert.equal(pool.available, 70)
  const pages = [...take(64, pool)]
  while (pages.length < 70) {
    const page = pool.alloc()
    if (page === undefined) await pool.whenAvailable()
    else pages.push(page)
  }
  // The application has all of it now.
  assert.equal(pool.alloc(), undefined)
  const waits = pool.whenAvailable()
  await turn()
  pool.put(some(pages.pop()))
  await waits
  assert.equal(pool.available, 1)
  for (const page of pages) pool.put(page)
  await end(pool)
})

test('destroy() ends a wait for a provider that is dry for now', async () => {
  const provider = new StagingProvider(1)
  const pool = createPool(provider)
  assert.equal(pool.alloc(), undefined)
  const waits = pool.whenAvailable()
  await pool.destroy()
  await waits
  await turn()
  const next = createPool(provider)
  next.put(some(next.alloc()))
  await end(next)
})
