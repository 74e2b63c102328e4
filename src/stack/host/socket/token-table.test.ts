import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { end } from '../../../testing/pools.test.helper.ts'
import { iovSource } from '../skb/skbs.test.helper.ts'
import { LowestFree } from './lowest-free.ts'
import { TokenTable } from './token-table.ts'

/** The lowest number that is not in `taken`. */
function lowest(taken: ReadonlySet<number>): number {
  let number = 0
  while (taken.has(number)) number++
  return number
}

test('the lowest free number is found, beside a plain set', () => {
  const give = fc.record({ what: fc.constant('give' as const), by: fc.nat() })
  const take = fc.record({ what: fc.constant('take' as const), by: fc.nat({ max: 300 }) })
  fc.assert(
    fc.property(
      fc.array(fc.oneof(give, give, give, take), { maxLength: 60 }),
      fc.nat({ max: 3000 }),
      (steps, limit) => {
        const free = new LowestFree(limit)
        const taken = new Set<number>()
        for (const { what, by } of steps) {
          if (what === 'give') {
            const number = [...taken][by % Math.max(1, taken.size)]
            if (number === undefined) continue
            taken.delete(number)
            free.giveBack(number)
            continue
          }
          for (let count = 0; count < by; count++) {
            const expected = taken.size === limit ? -1 : lowest(taken)
            assert.equal(free.take(), expected)
            if (expected < 0) break
            taken.add(expected)
          }
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('it grows past each of its levels, and keeps what is taken', () => {
  for (const limit of [1, 31, 32, 33, 1023, 1024, 1025, 32_768, 32_769, 40_000]) {
    const free = new LowestFree(limit)
    for (let number = 0; number < limit; number++) assert.equal(free.take(), number)
    assert.equal(free.take(), -1)
    for (const number of new Set([0, limit >> 1, limit - 1])) free.giveBack(number)
    for (const number of new Set([0, limit >> 1, limit - 1])) assert.equal(free.take(), number)
    assert.equal(free.take(), -1)
  }
  const endless = new LowestFree(2 ** 31 - 1)
  for (let number = 0; number < 40_000; number++) assert.equal(endless.take(), number)
})

test('a token stands for one reference, and is freed once', async () => {
  const source = iovSource()
  const table = new TokenTable(3)
  const mint = (number: number): number => table.mint(source.netmem(number))
  assert.deepEqual([mint(0), mint(0), mint(1)], [1, 2, 3])
  assert.ok(table.full)
  assert.equal(source.pool.out, 2)
  const serial = table.serial(2)
  assert.ok(table.free(2))
  assert.ok(!table.free(2))
  assert.notEqual(table.serial(2), serial)
  for (const unknown of [0, -1, 4, 2 ** 31, 2 ** 32, 0.5, Number.NaN])
    assert.ok(!table.free(unknown))
  assert.equal(mint(2), 2)
  assert.ok(table.free(1))
  assert.equal(source.pool.out, 2)
  table.clear()
  assert.equal(table.size, 0)
  table.clear()
  await end(source.pool)
})
