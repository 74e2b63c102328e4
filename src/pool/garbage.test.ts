import assert from 'node:assert/strict'
import { test } from 'node:test'
import { garbageOf, leastGarbage } from '../testing/garbage.test.helper.ts'
import { end, some } from '../testing/pools.test.helper.ts'
import { testDeviceProvider } from '../testing/test-device-provider.ts'
import { createPool } from './create-pool.ts'

test('a pool that is dry again and again makes no garbage', async () => {
  const pool = createPool(testDeviceProvider({ netIovs: 1, pageSize: 4096 }))
  const TIMES = 1000
  let woken = 0
  const wake = (): void => {
    woken++
  }
  const run = (): void => {
    for (let times = 0; times < TIMES; times++) {
      const m = some(pool.alloc())
      assert.equal(pool.alloc(), undefined)
      pool.notify(wake)
      pool.put(m)
    }
  }
  const bytes = await leastGarbage(8, () => garbageOf(TIMES, run))
  assert.ok(bytes <= 8, `${bytes} bytes each time`)
  assert.equal(woken % TIMES, 0)
  await end(pool)
})
