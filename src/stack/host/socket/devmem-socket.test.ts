import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionError } from '../../../errors.ts'
import { release } from '../../../netmem.ts'
import { assertCode } from '../../../testing/pools.test.helper.ts'
import { iovSource, makings, pageSource, pattern } from '../skb/skbs.test.helper.ts'
import { endAll, errnoOf, iovPiece, recv } from './devmem-socket.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'
import { MSG_PEEK, MSG_SOCK_DEVMEM } from './messages.ts'

for (const flags of [0, MSG_SOCK_DEVMEM]) {
  test(`ordinary data is received as usual, with flags ${flags}`, async () => {
    const source = pageSource()
    const socket = new DevmemSocket()
    const bytes = pattern(10_000)
    assert.ok(socket.queue(source.of(bytes.subarray(0, 6000), 100)))
    assert.ok(socket.queue(source.of(bytes.subarray(6000))))
    const out: number[] = []
    for (const length of [1, 98, 2, 4032, 5000, 1000]) {
      const { bytes: count, data, messages } = recv(socket, length, 0, flags)
      out.push(...data.subarray(0, count))
      assert.deepEqual(messages, [])
    }
    assert.deepEqual(Uint8Array.from(out), bytes)
    assert.equal(source.pool.out, 0)
    assert.equal(
      errnoOf(() => recv(socket, 1, 0, flags)),
      'EAGAIN',
    )
    assertCode('NETMEM_WOULD_BLOCK', () => recv(socket, 1, 0, flags))
    assert.equal(recv(socket, 0).bytes, 0)
    socket.fin()
    assert.equal(recv(socket, 1).bytes, 0)
    assert.equal(socket.stats().host_bytes, 10_000)
    socket.close()
    await endAll(source)
  })
}

for (const making of makings) {
  test(`device memory is received as control messages: ${making} pools`, async () => {
    const source = iovSource(64, making)
    const socket = new DevmemSocket()
    socket.queue(source.skb([iovPiece(0, 100, 50), iovPiece(1, 4096)], pattern(10)))
    socket.queue(source.skb([iovPiece(0, 7, 150)], pattern(3, 99)))
    const { bytes, data, messages } = recv(socket, 10_000)
    assert.equal(bytes, 10 + 100 + 4096 + 3 + 7)
    const dmabuf = { kind: 'dmabuf', dmabufId: 1, flags: 0 }
    const [first, second, third, fourth, fifth] = messages
    const offset = source.provider.offset(source.netmem(0))
    const offset1 = source.provider.offset(source.netmem(1))
    assert.deepEqual(first, { kind: 'linear', fragSize: 10 })
    assert.deepEqual(second, { ...dmabuf, fragOffset: offset + 50, fragSize: 100, fragToken: 1 })
    assert.deepEqual(third, { ...dmabuf, fragOffset: offset1, fragSize: 4096, fragToken: 2 })
    assert.deepEqual(fourth, { kind: 'linear', fragSize: 3 })
    assert.deepEqual(fifth, { ...dmabuf, fragOffset: offset + 150, fragSize: 7, fragToken: 3 })
    // Linear bytes alone fill the iovec, one after the other.
    assert.deepEqual(data.subarray(0, 14), Uint8Array.of(...pattern(10), ...pattern(3, 99), 0))
    for (const number of [0, 1]) {
      const iov = source.netmem(number)
      release(iov)
      release(iov)
    }
    assert.equal(source.pool.out, 2)
    assert.equal(socket.dontneed([{ start: 1, count: 3 }]), 3)
    assert.equal(source.pool.out, 0)
    assert.deepEqual(socket.stats(), {
      host_bytes: 13,
      device_bytes: 4203,
      minted: 3,
      tokens: 0,
      queued_bytes: 0,
      dropped: 0,
    })
    socket.close()
    await endAll(source)
  })
}

test('one call never returns readable and unreadable data together', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  socket.queue(pages.of(pattern(10)))
  socket.queue(iovs.skb([iovPiece(0, 20)]))
  // All of its payload landed with the headers, so every kind of queue can read it.
  socket.queue(iovs.skb([], pattern(30)))
  socket.queue(pages.of(pattern(5)))
  for (const [bytes, messages] of [
    [10, 0],
    [20, 1],
    [35, 0],
  ] as const) {
    const received = recv(socket, 1000)
    assert.deepEqual([received.bytes, received.messages.length], [bytes, messages])
  }
  socket.close()
  await endAll(pages, iovs)
})

test('without the flag, and for a peek, unreadable data is EFAULT, after what is readable', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  socket.queue(pages.of(pattern(10)))
  socket.queue(iovs.skb([iovPiece(0, 20)], pattern(5)))
  for (let times = 0; times < 2; times++) {
    const { bytes, data } = recv(socket, 100, 64, MSG_PEEK | MSG_SOCK_DEVMEM)
    assert.equal(bytes, 10)
    assert.deepEqual(data.subarray(0, 10), pattern(10))
  }
  assert.equal(recv(socket, 4, 0, MSG_PEEK).bytes, 4)
  assert.equal(recv(socket, 3, 0, 0).bytes, 3)
  assert.deepEqual(recv(socket, 7, 0, MSG_PEEK).data, pattern(10).subarray(3))
  assert.equal(recv(socket, 100, 0, 0).bytes, 7)
  for (const flags of [0, MSG_PEEK, MSG_PEEK | MSG_SOCK_DEVMEM]) {
    assertCode('NETMEM_UNREADABLE', () => recv(socket, 100, 64, flags))
    assert.equal(
      errnoOf(() => recv(socket, 100, 64, flags)),
      'EFAULT',
    )
  }
  assert.equal(socket.stats().minted, 0)
  assert.equal(recv(socket, 100).bytes, 25)
  socket.close()
  await endAll(pages, iovs)
})

test('an end and an error come after the data; after them nothing is taken', async () => {
  const source = pageSource()
  for (const error of [undefined, new ConnectionError('NETMEM_CONNECTION_RESET', 'Reset.')]) {
    const socket = new DevmemSocket()
    socket.queue(source.of(pattern(5)))
    if (error === undefined) socket.fin()
    else socket.reset(error)
    assert.equal(socket.queue(source.of(pattern(5))), false)
    socket.reset(new Error('too late'))
    assert.equal(recv(socket, 100).bytes, 5)
    for (let times = 0; times < 2; times++) {
      if (error === undefined) assert.equal(recv(socket, 100).bytes, 0)
      else assert.throws(() => recv(socket, 100), error)
    }
    assert.equal(socket.stats().dropped, 1)
    socket.close()
  }
  await endAll(source)
})

test('its receive buffer is bounded', async () => {
  const source = pageSource()
  const socket = new DevmemSocket({ receiveBufferBytes: 10 })
  assert.equal(socket.queue(source.of(pattern(6))), true)
  assert.equal(socket.queue(source.of(pattern(5))), false)
  assert.equal(socket.queue(source.of(pattern(4))), true)
  assert.equal(socket.queue(source.of(pattern(0))), true)
  assert.equal(recv(socket, 3, 0).bytes, 3)
  assert.equal(socket.queue(source.of(pattern(3))), true)
  assert.equal(socket.stats().queued_bytes, 10)
  socket.close()
  assert.equal(socket.stats().queued_bytes, 0)
  await endAll(source)
})

test('a reader that waits is told of data, of the end and of close', async () => {
  const source = pageSource()
  for (const make of [
    (socket: DevmemSocket) => void socket.queue(source.of(pattern(1))),
    (socket: DevmemSocket) => socket.fin(),
    (socket: DevmemSocket) => socket.reset(new Error('reset')),
    (socket: DevmemSocket) => socket.close(),
  ]) {
    const socket = new DevmemSocket()
    let told = 0
    socket.notify(() => {
      told++
    })
    const waiting = socket.whenReadable()
    socket.queue(source.of(pattern(0)))
    assert.equal(told, 0)
    assert.ok(!socket.readable)
    make(socket)
    assert.equal(told, 1)
    assert.ok(socket.readable)
    await waiting
    await socket.whenReadable()
    socket.close()
    assert.equal(told, 1)
  }
  await endAll(source)
})

test('close gives everything back, once; nothing works after it', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  socket.queue(iovs.skb([iovPiece(0, 100), iovPiece(1, 10)], pattern(10)))
  recv(socket, 50)
  socket.queue(pages.of(pattern(10_000)))
  socket.close()
  assert.equal(iovs.pool.out + pages.pool.out, 0)
  socket.close()
  await socket.closed
  for (const use of [
    () => recv(socket, 1),
    () => recv(socket, 0),
    () => socket.dontneed([{ start: 1, count: 1 }]),
  ]) {
    assertCode('NETMEM_SOCKET_CLOSED', use)
    assert.equal(errnoOf(use), 'EBADF')
  }
  pages.forget()
  assert.equal(socket.queue(pages.of(pattern(1))), false)
  await endAll(pages, iovs)
})

test('wrong arguments have their codes, and change nothing', async () => {
  const source = pageSource()
  assertCode('NETMEM_OUT_OF_RANGE', () => new DevmemSocket({ bindingId: 0 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => new DevmemSocket({ tokenLimit: 2 ** 31 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => new DevmemSocket({ receiveBufferBytes: 0 }))
  const socket = new DevmemSocket()
  socket.queue(source.of(pattern(5)))
  const iov = [new Uint8Array(9)]
  assertCode('NETMEM_INVALID_ARGUMENT', () => socket.recvmsg({ iov: [[] as never] }))
  assertCode('NETMEM_INVALID_ARGUMENT', () => socket.recvmsg({ iov, control: [] as never }))
  assertCode('NETMEM_OUT_OF_RANGE', () => socket.recvmsg({ iov, flags: -1 }))
  assert.equal(socket.recvmsg({ iov: [] }).bytes, 0)
  assert.equal(socket.recvmsg({ iov }).bytes, 5)
  socket.close()
  await endAll(source)
})
