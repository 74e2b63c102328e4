import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPool } from '../../../pool/create-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import { garbageOf, leastGarbage } from '../../../testing/garbage.test.helper.ts'
import { end, some } from '../../../testing/pools.test.helper.ts'
import { testDeviceProvider } from '../../../testing/test-device-provider.ts'
import { DEVMEM_CMSG_SPACE } from '../../../wire/control-messages.ts'
import { createNetIovSkbCache, createPageSkbCache } from '../skb/skb-cache.ts'
import { DevmemSocket } from './devmem-socket.ts'
import { receiveFrags } from './frags.ts'
import { MSG_SOCK_DEVMEM } from './messages.ts'

test('for await makes little garbage beyond what the language does; recvmsg next to none', async () => {
  const FRAG = 9000
  // The young generation holds the garbage of this many.
  const BATCH = 250
  const pool = createPool(hostProvider({ pages: BATCH, pageSize: 16 * 1024 }))
  const cache = createPageSkbCache(pool, 128)
  const socket = new DevmemSocket()
  const receiver = receiveFrags(socket)
  const queueAll = (): void => {
    for (let count = 0; count < BATCH; count++) {
      const page = some(pool.alloc())
      const skb = cache.take()
      skb.addFrag(page, 0, FRAG)
      socket.queue(skb)
    }
  }
  // An async iterator that does nothing at all.
  let given = 0
  const nothing = {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: ++given % BATCH === 0, value: given }),
    }),
  }
  const counts: number[] = []
  const empty = async (): Promise<void> => {
    for await (const one of nothing) some(one)
  }
  for (let count = 0; count < 51; count++) counts.push(await garbageOf(BATCH, empty))
  const bare = some(counts.sort((a, b) => a - b)[25])
  const iterate = async (): Promise<void> => {
    queueAll()
    let left = BATCH
    for await (const frag of receiver) {
      frag.release()
      if (--left === 0) break
    }
  }
  const ours = await leastGarbage(2 * bare, () => garbageOf(BATCH, iterate))
  const message = { iov: [new Uint8Array(BATCH * FRAG)] }
  const copy = async (): Promise<void> => {
    queueAll()
    socket.recvmsg(message)
  }
  const inside = await leastGarbage(100, () => garbageOf(BATCH, copy))
  assert.ok(bare > 0)
  assert.ok(ours <= 2 * bare, `${ours} bytes for a packet, ${bare} in a loop over nothing`)
  assert.ok(inside <= 100, `${inside} bytes for a packet through recvmsg`)
  socket.close()
  await end(pool)
})

test('recvmsg makes next to no garbage for frags of device memory', async () => {
  const BATCH = 250
  const pool = createPool(testDeviceProvider({ netIovs: BATCH, pageSize: 4096 }))
  const cache = createNetIovSkbCache(pool, 128)
  const socket = new DevmemSocket()
  const message = {
    iov: [new Uint8Array(BATCH * 100)],
    control: new Uint8Array(BATCH * DEVMEM_CMSG_SPACE),
    flags: MSG_SOCK_DEVMEM,
  }
  const tokens = [{ start: 1, count: BATCH }]
  const read = (): void => {
    for (let count = 0; count < BATCH; count++) {
      const skb = cache.take()
      skb.addFrag(some(pool.alloc()), 0, 100)
      socket.queue(skb)
    }
    socket.recvmsg(message)
    socket.dontneed(tokens)
  }
  const bytes = await leastGarbage(20, () => garbageOf(BATCH, read))
  assert.ok(bytes <= 20, `${bytes} bytes for a frag`)
  assert.equal(socket.stats().minted % BATCH, 0)
  socket.close()
  await end(pool)
})
