/** Tests that every memory provider passes: of pages or net_iovs, this project's or yours. */

import assert from 'node:assert/strict'
import { test as nodeTest } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { MAX_SLOTS, type Netmem } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import type { MemoryProvider, NetIovProvider, PageProvider } from '../pool/memory-provider.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { Random } from '../random.ts'
import { testDeviceMemory, testPages } from './conformance-memory.ts'
import { openForTest } from './open-for-test.ts'

/** Options of {@link providerConformance}. */
export interface ConformanceOptions {
  /**
   * Registers one test, like `test` of `node:test` and of other runners. Default: `test` of `node:test`.
   */
  readonly test?: (name: string, body: () => void | Promise<void>) => unknown
}

const RANDOM_STEPS = 10_000

/**
 * Registers the tests that every memory provider passes. `makeProvider` is called for each of them and
 * returns a provider that no pool has open. A capacity of 2 to 1000 keeps them quick.
 *
 * @example
 * ```ts
 * import { hostProvider } from 'netmem'
 * import { providerConformance } from 'netmem/testing'
 *
 * providerConformance('hostProvider', () => hostProvider({ pages: 64, pageSize: 4096 }))
 * ```
 */
export function providerConformance(
  name: string,
  makeProvider: () => PageProvider | NetIovProvider,
  options: ConformanceOptions = {},
): void {
  const register = options.test ?? ((title, body) => nodeTest(title, body))
  const test = (
    what: string,
    body: (provider: PageProvider | NetIovProvider) => void | Promise<void>,
  ): void => {
    register(`${name}: ${what}`, () => body(makeProvider()))
  }
  // A provider of either kind, as the one of its kind that it is.
  const each = (
    what: string,
    body: <M extends Netmem>(provider: MemoryProvider<M>) => Promise<void>,
  ): void => {
    test(what, (provider) => (provider.kind === 'page' ? body(provider) : body(provider)))
  }

  test('says what it has', testDescription)
  each('gives all it has, each piece once, and then nothing, to one pool after the other', testAll)
  each('never gives more than it is asked for', testWant)
  each('gives again what was released', testRelease)
  each('serves one pool at a time', testOneAtATime)
  each(`survives ${RANDOM_STEPS} random steps`, testRandomSteps)
  test('has distinct memory for every piece, always the same', (provider) =>
    provider.kind === 'page' ? testPages(provider) : testDeviceMemory(provider))
  register(`${name}: serves a pool`, () => testThroughPool(makeProvider()))
}

function testDescription(provider: PageProvider | NetIovProvider): void {
  const { kind, pageSize, capacity } = provider
  assert.ok(kind === 'page' || kind === 'net_iov', `kind is 'page' or 'net_iov', not ${kind}`)
  assert.ok(
    Number.isInteger(Math.log2(pageSize)) && pageSize >= 4096 && pageSize <= 2 ** 30,
    `pageSize is a power of two of 4 KiB to 1 GiB, not ${pageSize}`,
  )
  assert.ok(
    Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_SLOTS,
    `capacity is 1 to ${MAX_SLOTS}, not ${capacity}`,
  )
  if (provider.kind === 'net_iov') {
    const { id } = provider.binding
    assert.ok(Number.isInteger(id) && id >= 1, `a binding's id is an integer from 1, not ${id}`)
  }
}

async function testAll<M extends Netmem>(provider: MemoryProvider<M>): Promise<void> {
  for (let pools = 0; pools < 3; pools++) {
    const opened = openForTest(provider)
    await opened.allocAll()
    assert.equal(opened.out.size, provider.capacity, 'alloc gives as many as capacity says')
    assert.equal(opened.alloc(1).length, 0, 'alloc gives nothing when all is out')
    opened.close()
  }
}

async function testWant<M extends Netmem>(provider: MemoryProvider<M>): Promise<void> {
  const opened = openForTest(provider)
  assert.equal(opened.alloc(0).length, 0)
  assert.equal((await opened.allocSome(1)).length, 1)
  await opened.allocSome(Math.ceil(provider.capacity / 2))
  opened.alloc(provider.capacity + 1)
  opened.close()
}

async function testRelease<M extends Netmem>(provider: MemoryProvider<M>): Promise<void> {
  const opened = openForTest(provider)
  await opened.allocAll()
  for (const slot of [...opened.out].filter((_, index) => index % 2 === 0)) {
    opened.release(slot)
    assert.deepEqual(
      await opened.allocSome(2),
      [slot],
      'the one piece that was released is given again',
    )
  }
  opened.close()
}

async function testOneAtATime<M extends Netmem>(provider: MemoryProvider<M>): Promise<void> {
  const opened = openForTest(provider)
  const [slot = -1] = await opened.allocSome(1)
  assert.throws(
    () => openForTest(provider),
    (error) => isNetmemError(error) && error.code === 'NETMEM_PROVIDER_BUSY',
    'init throws NETMEM_PROVIDER_BUSY while another pool has the provider open',
  )
  // The refusal has not disturbed the pool that has the provider.
  opened.release(slot)
  await opened.allocAll()
  assert.equal(opened.out.size, provider.capacity)
  opened.close()
}

async function testRandomSteps<M extends Netmem>(provider: MemoryProvider<M>): Promise<void> {
  const opened = openForTest(provider)
  const random = new Random(1)
  for (let step = 0; step < RANDOM_STEPS; step++) {
    const { out } = opened
    const slot = [...out].at(random.below(out.size))
    if (slot !== undefined && random.below(2) === 0) {
      opened.release(slot)
      continue
    }
    const free = provider.capacity - out.size
    const want = 1 + random.below(8)
    if (free === 0) assert.equal(opened.alloc(want).length, 0)
    else
      assert.ok(
        (await opened.allocSome(want)).length > 0,
        'alloc gives something while something is free',
      )
  }
  opened.close()
}

async function testThroughPool(provider: PageProvider | NetIovProvider): Promise<void> {
  for (let uses = 0; uses < 2; uses++) {
    const mayBeDry = provider.onAvailable !== undefined
    if (provider.kind === 'page') await fillAndEmpty(createPool(provider), mayBeDry)
    else await fillAndEmpty(createPool(provider), mayBeDry)
  }
}

async function fillAndEmpty<M extends Netmem>(pool: PagePool<M>, mayBeDry: boolean): Promise<void> {
  const taken: M[] = []
  while (taken.length < pool.capacity) {
    const m = pool.alloc()
    if (m !== undefined) taken.push(m)
    else if (mayBeDry) await pool.whenAvailable()
    else break
  }
  assert.equal(pool.alloc(), undefined)
  assert.equal(taken.length, pool.capacity)
  assert.equal(pool.out, pool.capacity)
  for (const m of taken) pool.put(m)
  await pool.destroy()
  assert.equal(pool.out, 0)
  assert.equal(pool.inflight, 0)
}
