// pools() says that a socket's queue holds memory until the application takes it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPool } from '../../../pool/create-pool.ts'
import { type PoolHolders, pools } from '../../../pool/pools.ts'
import { testDeviceProvider } from '../../../testing/index.ts'
import { end, some } from '../../../testing/pools.test.helper.ts'
import { createNetIovSkbCache } from '../skb/skb-cache.ts'
import { SkbSource } from '../skb/skbs.test.helper.ts'
import { recv } from './devmem-socket.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'

test('net_iovs are the socket’s before they are received, and the application’s afterwards', async () => {
  const pool = createPool(testDeviceProvider({ netIovs: 4 }), { name: 'queued' })
  const source = new SkbSource(createNetIovSkbCache(pool, 256), pool, () => pool.alloc())
  const socket = new DevmemSocket()
  const held = (): Partial<PoolHolders> => {
    const { sockets, application } = some(pools().find(({ name }) => name === 'queued')).held
    return { sockets, application }
  }
  const skb = source.skb([
    { netmem: 0, offset: 0, length: 4096 },
    { netmem: 1, offset: 0, length: 100 },
  ])
  assert.deepEqual(held(), { sockets: 0, application: 2 })
  socket.queue(skb)
  assert.deepEqual(held(), { sockets: 2, application: 0 })
  // A read in part leaves the rest of the netmem in the queue.
  recv(socket, 1000)
  assert.deepEqual(held(), { sockets: 1, application: 1 })
  recv(socket, 10_000)
  assert.deepEqual(held(), { sockets: 0, application: 2 })
  socket.close()
  await end(pool)
})
