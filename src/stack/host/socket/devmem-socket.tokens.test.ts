import assert from 'node:assert/strict'
import { test } from 'node:test'
import { release } from '../../../netmem.ts'
import { assertCode, codeOf } from '../../../testing/pools.test.helper.ts'
import { iovSource, pattern } from '../skb/skbs.test.helper.ts'
import { endAll, errnoOf, iovPiece, recv } from './devmem-socket.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'
import { MSG_PEEK, MSG_SOCK_DEVMEM } from './messages.ts'

test('regression: a peek that mints tokens', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  socket.queue(source.skb([iovPiece(0, 20)]))
  codeOf(() => recv(socket, 100, 64, MSG_PEEK | MSG_SOCK_DEVMEM))
  assert.equal(socket.stats().minted, 0)
  assert.equal(socket.dontneed([{ start: 0, count: 1024 }]), 0)
  socket.close()
  await endAll(source)
})

test('the iovec’s length limits, and what a frag is read in has a token and a reference each', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  socket.queue(source.skb([iovPiece(0, 100), iovPiece(0, 50, 100)], pattern(10)))
  const offset = source.provider.offset(source.netmem(0))
  const parts: (readonly [number, number])[] = []
  for (const length of [4, 10, 60, 40, 100]) {
    for (const message of recv(socket, length).messages) {
      if (message.kind === 'dmabuf') parts.push([message.fragOffset - offset, message.fragSize])
      else if (message.kind === 'linear') parts.push([-1, message.fragSize])
    }
  }
  assert.deepEqual(parts, [
    [-1, 4],
    [-1, 6],
    [0, 4],
    [4, 60],
    [64, 36],
    [100, 4],
    [104, 46],
  ])
  const iov = source.netmem(0)
  // References: two of this test, and one of each token.
  assert.equal(socket.stats().tokens, 5)
  release(iov)
  release(iov)
  for (const start of [3, 1, 5, 2]) assert.equal(socket.dontneed([{ start, count: 1 }]), 1)
  assert.equal(source.pool.out, 1)
  assert.equal(socket.dontneed([{ start: 4, count: 1 }]), 1)
  assert.equal(source.pool.out, 0)
  socket.close()
  await endAll(source)
})

test('control space limits: 525 where not one message fits', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  socket.queue(source.skb([iovPiece(0, 100), iovPiece(1, 50)], pattern(10)))
  for (const control of [undefined, new Uint8Array(39)]) {
    const read = (): unknown =>
      socket.recvmsg({
        iov: [new Uint8Array(100)],
        flags: MSG_SOCK_DEVMEM,
        ...(control === undefined ? {} : { control }),
      })
    assertCode('NETMEM_CONTROL_SPACE', read)
    assert.equal(errnoOf(read), 'ETOOSMALL')
  }
  assert.deepEqual(recv(socket, 1000, 1).messages, [{ kind: 'linear', fragSize: 10 }])
  assert.equal(recv(socket, 1000, 1).bytes, 100)
  assert.equal(recv(socket, 1000, 1).bytes, 50)
  socket.close()
  await endAll(source)
})

test('a net_iov of another binding is ENODEV', async () => {
  const source = iovSource()
  const other = iovSource(64, 'plain', 2)
  const socket = new DevmemSocket({ bindingId: 2 })
  socket.queue(other.skb([iovPiece(0, 10)]))
  socket.queue(source.skb([iovPiece(0, 20)]))
  assert.equal(recv(socket, 100).bytes, 10)
  assertCode('NETMEM_NO_DEVICE', () => recv(socket, 100))
  assert.equal(
    errnoOf(() => recv(socket, 100)),
    'ENODEV',
  )
  socket.close()
  const told = new DevmemSocket({ bindingId: 1 })
  told.queue(source.skb([iovPiece(2, 20)]))
  assert.equal(recv(told, 100).bytes, 20)
  told.close()
  await endAll(source, other)
})

test('at the token limit it is ENOMEM, until tokens come back', async () => {
  const source = iovSource()
  const socket = new DevmemSocket({ tokenLimit: 2 })
  socket.queue(source.skb([iovPiece(0, 10), iovPiece(1, 10), iovPiece(2, 10)]))
  assert.equal(recv(socket, 100).bytes, 20)
  assertCode('NETMEM_NO_TOKEN', () => recv(socket, 100))
  assert.equal(
    errnoOf(() => recv(socket, 100)),
    'ENOMEM',
  )
  assert.equal(socket.dontneed([{ start: 1, count: 1 }]), 1)
  const [message] = recv(socket, 100).messages
  assert.equal(message?.kind === 'dmabuf' && message.fragToken, 1)
  socket.close()
  await endAll(source)
})

test('dontneed: its ranges, its limits and what it returns', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  const mint = (count: number): void => {
    for (let at = 0; at < count; at += 10) {
      const pieces = Array.from({ length: Math.min(10, count - at) }, (_, n) => iovPiece(n, 1, n))
      socket.queue(source.skb(pieces))
    }
    for (let left = count; left > 0; ) left -= recv(socket, 1e6, 1000).bytes
    source.forget()
  }
  const ranges = (count: number) => Array.from({ length: count }, () => ({ start: 0, count: 1 }))
  assert.equal(socket.dontneed(ranges(128)), 0)
  for (const wrong of [ranges(0), ranges(129)]) {
    assertCode('NETMEM_TOKEN_RANGE', () => socket.dontneed(wrong))
    assert.equal(
      errnoOf(() => socket.dontneed(wrong)),
      'EINVAL',
    )
  }
  mint(5)
  assertCode('NETMEM_OUT_OF_RANGE', () =>
    socket.dontneed([
      { start: 1, count: 5 },
      { start: -1, count: 1 },
    ]),
  )
  assert.equal(socket.stats().tokens, 5)
  // Twice in one call, overlapping, unknown, empty.
  assert.equal(
    socket.dontneed([
      { start: 2, count: 2 },
      { start: 3, count: 2 },
      { start: 0xffff_ffff, count: 2 },
      { start: 1, count: 0 },
    ]),
    3,
  )
  assert.equal(socket.dontneed([{ start: 0, count: 0xffff_ffff }]), 2)
  mint(1030)
  // Unknown ones count: 1020 of nothing, and four of the rest.
  assert.equal(
    socket.dontneed([
      { start: 5000, count: 1020 },
      { start: 1, count: 100 },
    ]),
    4,
  )
  assert.equal(socket.dontneed([{ start: 1, count: 2000 }]), 1020)
  assert.equal(socket.stats().tokens, 6)
  assert.equal(socket.dontneed([{ start: 1025, count: 6 }]), 6)
  assert.equal(source.pool.out, 0)
  socket.close()
  await endAll(source)
})
