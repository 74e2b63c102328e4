// Bugs that Device Memory TCP and its page pools had over the years, each with a test under its
// name, over the whole path where it has one. Each has a counterpart here. Two have it in part:
//  1: a dma-buf's size is in bytes here too, but no code reads beyond the typed arrays of its memory.
//     The test is that such sizes are refused before anything is bound.
//  5: no other thread comes between reading a count and decrementing it. The test is that a
//     reference given back once too often is found, by any holder.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { release } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import { sharedProvider } from '../providers/shared.ts'
import { permutations } from '../testing/permutations.test.helper.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import { DEVMEM_CMSG_SPACE, parseControl } from '../wire/control-messages.ts'
import { DeviceError } from './device-error.ts'
import { bindRx } from './host/driver/bind-rx.ts'
import { coalesce } from './host/skb/coalesce.ts'
import { iovSource, pageSource } from './host/skb/skbs.test.helper.ts'
import { DevmemSocket } from './host/socket/devmem-socket.ts'
import { MSG_PEEK, MSG_SOCK_DEVMEM } from './host/socket/messages.ts'
import { PAGE, Path, type PathOptions, pattern, tcp } from './integration/path.test.helper.ts'

const injected = { kind: 'injected' } as const
const PART = 1000

function segments(from: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, at) =>
    tcp(1 + (from + at) * PART, pattern(PART, from + at)),
  )
}

function open(options: Partial<PathOptions> = {}): Promise<Path> {
  return Path.open({ nic: { link: injected }, ...options })
}

/** Room for so many messages. */
function messages(count: number): {
  iov: Uint8Array[]
  control: Uint8Array
  flags: number
} {
  const control = new Uint8Array(count * DEVMEM_CMSG_SPACE)
  return { iov: [new Uint8Array(1e6)], control, flags: MSG_SOCK_DEVMEM }
}

test('1. sizes and scatter-list lengths that are not page-aligned', async () => {
  const path = await open()
  const sizes: readonly (readonly number[])[] = [
    [8 * PAGE + 512],
    [8 * PAGE - 1],
    [2 * PAGE, PAGE + 512, PAGE - 512],
    [PAGE / 2, PAGE / 2],
  ]
  for (const segments of sizes) {
    const bytes = segments.reduce((sum, one) => sum + one)
    const dmabuf = await path.memory.exportDmaBuf({ bytes, segments })
    const binding = bindRx(path.netmemDriver, { dmabuf, queues: [0] })
    await assert.rejects(binding, { code: 'NETMEM_DMABUF_UNALIGNED' })
    // The refused bind leaves no attachment and no bound queue.
    await immediate()
    await dmabuf.close()
  }
  await path.bind(0)
  await path.through(...segments(0, 2))
  assert.equal(path.flow.socket.stats().queued_bytes, 2 * PART)
  await path.close()
})

test('2. a page and a net_iov in one skb', async () => {
  const pages = pageSource(8, 'dual')
  const iovs = iovSource(8, 'dual')
  const page = pages.skb([{ netmem: 0, offset: 0, length: 100 }])
  const iov = iovs.skb([{ netmem: 0, offset: 0, length: 100 }])
  const m = iovs.netmem(1)
  // @ts-expect-error an skb of pages
  assertCode('NETMEM_WRONG_KIND', () => page.addFrag(m, 0, 10))
  release(m)
  // @ts-expect-error skbs of two kinds
  assertCode('NETMEM_WRONG_KIND', () => coalesce(page, iov))
  assert.deepEqual([page.fragCount, iov.fragCount], [1, 1])
  page.free()
  iov.free()
  pages.forget()
  iovs.forget()
  await end(pages.pool, iovs.pool)
})

test('3. the provider gone before its queue stopped', async () => {
  const path = await open({ bound: [0] })
  await path.through(...segments(0, 3))
  const binding = some(path.binding)
  const frag = some(path.flow.receiver.take())
  // The device goes away beneath the binding, with memory posted, queued and held.
  await path.driver.close()
  let released = false
  const done = binding.released().then(() => {
    released = true
  })
  await immediate()
  assert.ok(!released, 'the dma-buf stays while its memory is out')
  await assert.rejects(path.memory.close(), { code: 'NETMEM_DMABUF_BUSY' })
  frag.release()
  path.flow.socket.close()
  await done
  await path.close()
})

const ENDS = ['socket', 'pools', 'binding', 'device'] as const

// Beneath one driver. `socket/orders.test.ts` has all orders of the socket's own.
test('4. socket close, pool destroy, unbind and device removal in all legal orders', async () => {
  const orders = permutations(ENDS)
  assert.equal(orders.length, 24)
  for (const order of orders) {
    const path = await open({ bound: [0], inline: true })
    await path.through(...segments(0, 4))
    const frag = some(path.flow.receiver.take())
    const destroyed: Promise<void>[] = []
    for (const what of order) {
      if (what === 'socket') path.flow.socket.close()
      else if (what === 'binding') await closeBinding(path, order)
      else if (what === 'device') await path.driver.close()
      else for (const pool of path.pools) destroyed.push(pool.destroy())
    }
    frag.release()
    await path.close()
    await Promise.all(destroyed)
  }
})

/** A queue whose pools are destroyed has no pages to go back to: it stays bound until its device is gone. */
async function closeBinding(path: Path, order: readonly string[]): Promise<void> {
  const closing = some(path.binding).close()
  const before = order.slice(0, order.indexOf('binding'))
  if (!before.includes('pools') || before.includes('device')) return await closing
  await assert.rejects(closing, { code: 'NETMEM_POOL_DESTROYED' })
}

test('5. a double free between reading and decrementing a reference count', async () => {
  const path = await open({ bound: [0] })
  await path.through(...segments(0, 2))
  const { socket } = path.flow
  const request = messages(2)
  const { controlBytes } = socket.recvmsg(request)
  const tokens = parseControl(request.control, controlBytes).map((message) =>
    message.kind === 'dmabuf' ? message.fragToken : -1,
  )
  const before = some(path.binding).inflight
  const ranges = tokens.flatMap((start) => [
    { start, count: 1 },
    { start, count: 1 },
  ])
  assert.equal(socket.dontneed(ranges), tokens.length, 'the second of each frees nothing')
  assert.equal(socket.dontneed(ranges), 0)
  assert.equal(some(path.binding).inflight, before, 'back in the pool, each once')
  await path.close()
  const pool = createPool(sharedProvider({ pages: 2, pageSize: PAGE }))
  const page = some(pool.alloc())
  pool.put(page)
  assertCode('NETMEM_DOUBLE_PUT', () => pool.put(page))
  await end(pool)
})

test('6. a frag list counted twice', async () => {
  const pages = pageSource(8, 'dual')
  const socket = new DevmemSocket()
  const skb = pages.skb([
    { netmem: 0, offset: 0, length: 100 },
    { netmem: 1, offset: 0, length: 100 },
  ])
  // Merged payload counts once, in the skb that has it.
  const more = pages.skb([{ netmem: 1, offset: 100, length: 50 }])
  assert.ok(coalesce(skb, more))
  assert.deepEqual([skb.dataLength, skb.payloadLength], [250, 250])
  socket.queue(skb)
  socket.queue(pages.skb([{ netmem: 1, offset: 150, length: 50 }]))
  assert.equal(socket.stats().queued_bytes, 300)
  assert.equal(socket.recvmsg({ iov: [new Uint8Array(500)] }).bytes, 300)
  assert.equal(socket.stats().queued_bytes, 0)
  socket.close()
  pages.forget()
  await end(pages.pool)
})

test('7. truncated control messages', async () => {
  const path = await open({ bound: [0], dmabufBytes: 2 ** 18 })
  await path.through(...segments(0, 5))
  const { socket } = path.flow
  const all = 5 * PART
  let got = 0
  const tooSmall = { ...messages(1), control: new Uint8Array(DEVMEM_CMSG_SPACE - 1) }
  assert.throws(() => socket.recvmsg(tooSmall), { code: 'NETMEM_CONTROL_SPACE' })
  assert.equal(socket.stats().tokens, 0, 'no token for a message that was not delivered')
  while (got < all) {
    // Room for one message and a half.
    const request = { ...messages(1), control: new Uint8Array(1.5 * DEVMEM_CMSG_SPACE) }
    const { bytes, controlBytes, flags } = socket.recvmsg(request)
    assert.deepEqual([controlBytes, flags], [DEVMEM_CMSG_SPACE, 0])
    const [message] = parseControl(request.control, controlBytes)
    assert.ok(message?.kind === 'dmabuf' && message.fragSize === bytes)
    got += bytes
  }
  assert.equal(got, all)
  await path.close()
})

test('8. a return that arrives after the driver unbound', async () => {
  const path = await open({ bound: [0] })
  await path.through(...segments(0, 3))
  const { receiver } = path.flow
  const held = [some(receiver.take()), some(receiver.take()), some(receiver.take())]
  const binding = some(path.binding)
  await binding.close()
  assert.equal(binding.inflight > 0, true)
  // The queue has pages until then, and continues.
  await path.through(...segments(3, 1))
  const page = some(receiver.take())
  assert.equal(page.kind, 'page')
  page.release()
  for (const frag of held) {
    assert.ok(frag.kind === 'net_iov')
    assert.equal((await path.device.read(path.dmabuf, frag.offset, 1)).length, 1)
    frag.release()
  }
  await binding.released()
  assert.equal(binding.inflight, 0)
  await path.close()
})

test('9. use after free while recycling into the ring', async () => {
  const pool = createPool(sharedProvider({ pages: 300, pageSize: PAGE }))
  // More than any cache holds, so that some go through the ring and some to the provider.
  for (let round = 0; round < 3; round++) {
    const pages = take(300, pool)
    assert.equal(pool.alloc(), undefined)
    for (const page of pages) pool.put(page)
    for (const page of pages) {
      assertCode('NETMEM_DOUBLE_PUT', () => pool.bytes(page))
      assertCode('NETMEM_DOUBLE_PUT', () => pool.put(page))
    }
    const again = take(300, pool)
    assert.equal(new Set(again).size, 300, 'none is handed out twice')
    for (const page of again) pool.put(page)
  }
  await end(pool)
})

test('10. binding while the link is down', async () => {
  const path = await open({ nic: { link: injected, up: false } })
  await path.bind(0)
  await path.nic.inject(segments(0, 2))
  assert.equal(await path.step(1e6), 0)
  await path.nic.up()
  await path.step(2e6)
  const { receiver } = path.flow
  for (const number of [0, 1]) {
    const frag = some(receiver.take())
    assert.ok(frag.kind === 'net_iov')
    const bytes = await path.device.read(path.dmabuf, frag.offset, frag.length)
    assert.deepEqual(bytes, pattern(PART, number))
    frag.release()
  }
  // Unbinding takes the queue back to pages.
  await path.nic.down()
  await some(path.binding).close()
  await path.nic.inject(segments(2, 1))
  await path.nic.up()
  await path.step(3e6)
  const page = some(receiver.take())
  assert.equal(page.kind, 'page')
  page.release()
  await path.close()
})

test('11. a failed queue start that does not put the old queue back', async () => {
  const path = await open({ nic: { link: injected, queues: 2 } })
  await path.nic.setRssTable(Array.from({ length: 128 }, () => 1))
  const start = path.nic.startQueue.bind(path.nic)
  path.nic.startQueue = async (queue, rings, config) => {
    if (queue !== 1) return await start(queue, rings, config)
    path.nic.startQueue = start
    throw new DeviceError('NETMEM_NIC_BUSY', 'EBUSY', 'This queue does not start, once.')
  }
  await assert.rejects(path.bind(0, 1), { code: 'NETMEM_NIC_BUSY' })
  // More than a ring has: buffers are posted, filled and posted again.
  for (let at = 0; at < 100; at += 20) {
    await path.through(...segments(at, 20))
    const request = messages(1)
    assert.equal(path.flow.socket.recvmsg(request).bytes, 20 * PART)
    assert.deepEqual(request.iov[0]?.subarray(0, PART), pattern(PART, at))
  }
  const { rxQueues } = path.nic.stats()
  assert.deepEqual(
    rxQueues.map((queue) => [queue.rx_packets, queue.rx_hw_drops]),
    [
      [0, 0],
      [100, 0],
    ],
  )
  await path.bind(0, 1)
  await path.through(...segments(100, 1))
  assert.equal(path.flow.receiver.take()?.kind, 'net_iov')
  await path.close()
})

test('12. a token freed before it was committed; a peek that mints tokens', async () => {
  const path = await open({ bound: [0], socket: { tokenLimit: 2 } })
  await path.through(...segments(0, 3))
  const { socket } = path.flow
  // Tokens that are not out yet cannot be given back by guessing their numbers.
  assert.equal(socket.dontneed([{ start: 0, count: 1000 }]), 0)
  const request = messages(3)
  const peek = { ...request, flags: MSG_SOCK_DEVMEM | MSG_PEEK }
  for (let count = 0; count < 5; count++) {
    assert.throws(() => socket.recvmsg(peek), { code: 'NETMEM_UNREADABLE' })
  }
  assert.deepEqual([socket.stats().minted, socket.stats().tokens], [0, 0])
  const minted = new Set<number>()
  let got = 0
  while (got < 3 * PART) {
    const { bytes, controlBytes } = socket.recvmsg(request)
    got += bytes
    for (const message of parseControl(request.control, controlBytes)) {
      assert.ok(message.kind === 'dmabuf')
      minted.add(message.fragToken)
      assert.equal(socket.dontneed([{ start: message.fragToken, count: 1 }]), 1)
    }
  }
  assert.deepEqual([socket.stats().minted, socket.stats().tokens], [3, 0])
  assert.ok(minted.size <= 2, 'the lowest free ids again')
  await path.close()
})
