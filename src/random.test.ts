import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Random } from './random.ts'

test('a seed gives the same numbers everywhere', () => {
  const random = new Random(1)
  assert.deepEqual(
    Array.from({ length: 4 }, () => random.next()),
    [1580013426, 350525680, 3524174333, 3011703609],
  )
})

test('numbers are spread over their range', () => {
  const random = new Random(0xffff_ffff)
  const counts = new Array<number>(8).fill(0)
  for (let draw = 0; draw < 8000; draw++) {
    const value = random.below(8)
    counts[value] = (counts[value] ?? 0) + 1
    const fraction = random.fraction()
    assert.ok(fraction >= 0 && fraction < 1)
  }
  // 1000 each on the average, with a deviation of 30.
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 150, `${counts}`)
})
