import assert from 'node:assert/strict'
import { test } from 'node:test'
import { release } from '../../../netmem.ts'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { end } from '../../../testing/pools.test.helper.ts'
import { iovSource } from '../skb/skbs.test.helper.ts'
import { MAX_TOKENS, TokenTable } from './token-table.ts'

test('a token is the lowest free number, beside a plain set', async () => {
  const source = iovSource()
  const give = fc.record({ what: fc.constant('give' as const), by: fc.nat() })
  const take = fc.record({ what: fc.constant('take' as const), by: fc.nat({ max: 1500 }) })
  fc.assert(
    fc.property(fc.array(fc.oneof(give, give, give, take), { maxLength: 60 }), (steps) => {
      const table = new TokenTable(MAX_TOKENS)
      const held = source.netmem(0)
      const taken = new Set<number>()
      for (const { what, by } of steps) {
        if (what === 'give') {
          const token = [...taken][by % Math.max(1, taken.size)]
          if (token === undefined) continue
          taken.delete(token)
          assert.ok(table.free(token))
          continue
        }
        for (let count = 0, expected = 1; count < by; count++) {
          while (taken.has(expected)) expected++
          assert.equal(table.mint(source.netmem(0)), expected)
          taken.add(expected)
        }
      }
      assert.equal(table.size, taken.size)
      table.clear()
      release(held)
      source.forget()
    }),
    { numRuns: 60 },
  )
  await end(source.pool)
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
