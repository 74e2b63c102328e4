import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { ConnectionError } from '../../../errors.ts'
import { release } from '../../../netmem.ts'
import type { DeviceFrag, Frag } from '../../../pool/frag.ts'
import { assertCode, end } from '../../../testing/pools.test.helper.ts'
import { iovSource, makings, pageSource, pattern } from '../skb/skbs.test.helper.ts'
import { DevmemSocket } from './devmem-socket.ts'
import { receiveFrags } from './frags.ts'
import { MSG_SOCK_DEVMEM } from './messages.ts'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

const iovPiece = (netmem: number, length: number, offset = 0) => ({ netmem, offset, length })

function deviceFrag(frag: Frag | undefined): DeviceFrag {
  assert.ok(frag?.kind === 'net_iov')
  return frag
}

for (const making of makings) {
  test(`pages change hands uncopied, linear payload is copied: ${making} pools`, async () => {
    const source = pageSource(64, making)
    const socket = new DevmemSocket()
    const skb = source.of(pattern(9000), 100)
    const pages = skb.frags.slice(0, skb.fragCount)
    socket.queue(skb)
    socket.fin()
    const frags: Frag[] = []
    for await (const frag of receiveFrags(socket)) frags.push(frag)
    assert.deepEqual(
      frags.map(({ length }) => length),
      [100, 4032, 4032, 836],
    )
    let at = 0
    for (const [index, frag] of frags.entries()) {
      assert.ok(frag.kind === 'page')
      assert.deepEqual(frag.bytes, pattern(9000).subarray(at, at + frag.length))
      at += frag.length
      const page = pages[index - 1]
      if (page !== undefined) assert.equal(frag.bytes.buffer, source.pool.bytes(page).buffer)
    }
    assert.equal(source.pool.out, 3)
    for (const frag of frags) {
      frag.release()
      frag.release()
      assert.throws(() => frag.kind === 'page' && frag.bytes, code('NETMEM_FRAG_RELEASED'))
    }
    assert.equal(source.pool.out, 0)
    assert.equal(source.pool.stats().copied.bytes_out, 0)
    socket.close()
    await end(source.pool)
  })

  test(`device memory is named by tokens, which come back with the frags: ${making} pools`, async () => {
    const source = iovSource(64, making)
    const socket = new DevmemSocket()
    const receiver = receiveFrags(socket)
    socket.queue(source.skb([iovPiece(0, 100, 7), iovPiece(1, 200)], pattern(10)))
    const linear = receiver.take()
    assert.ok(linear?.kind === 'page')
    assert.deepEqual(linear.bytes, pattern(10))
    assertCode('NETMEM_NOT_SHARED', () => linear.kind === 'page' && linear.lend({ once: () => {} }))
    linear.release()
    const [first, second] = [deviceFrag(receiver.take()), deviceFrag(receiver.take())]
    assert.equal(receiver.take(), undefined)
    const named = source.netmem(0)
    assert.deepEqual(
      { ...first },
      {
        kind: 'net_iov',
        binding: source.provider.binding,
        offset: source.provider.offset(named) + 7,
        length: 100,
        token: 1,
      },
    )
    release(named)
    assert.equal(second.token, 2)
    using _held = second
    first.release()
    first.release()
    assert.equal(socket.stats().tokens, 1)
    second.release()
    assert.equal(source.pool.out, 0)
    source.forget()
    socket.close()
    await end(source.pool)
  })
}

test('a token that dontneed has freed is not freed for another frag', async () => {
  const source = iovSource()
  const socket = new DevmemSocket()
  const receiver = receiveFrags(socket)
  const next = (): DeviceFrag => {
    source.forget()
    socket.queue(source.skb([iovPiece(0, 10)]))
    source.forget()
    return deviceFrag(receiver.take())
  }
  const first = next()
  socket.dontneed([{ start: first.token, count: 1 }])
  const second = next()
  assert.equal(second.token, first.token)
  first.release()
  assert.equal(socket.stats().tokens, 1)
  second.release()
  second.release()
  assert.equal(socket.stats().tokens, 0)
  socket.close()
  await immediate()
  await end(source.pool)
})

test('iteration continues where recvmsg stopped, and recvmsg where iteration stopped', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const socket = new DevmemSocket()
  const receiver = receiveFrags(socket)
  socket.queue(pages.of(pattern(100), 20))
  const read = (bytes: number): Uint8Array => {
    const data = new Uint8Array(bytes)
    const control = new Uint8Array(40)
    const received = socket.recvmsg({ iov: [data], control, flags: MSG_SOCK_DEVMEM })
    assert.equal(received.bytes, bytes)
    return data
  }
  const take = (): Uint8Array => {
    const frag = receiver.take()
    assert.ok(frag?.kind === 'page')
    const bytes = frag.bytes.slice()
    frag.release()
    return bytes
  }
  const parts = [read(5), take(), read(30), take()]
  assert.deepEqual(
    parts.map(({ length }) => length),
    [5, 15, 30, 50],
  )
  assert.deepEqual(Buffer.concat(parts), Buffer.from(pattern(100)))
  socket.queue(iovs.skb([iovPiece(0, 50), iovPiece(0, 10, 50)]))
  read(20)
  const frag = deviceFrag(receiver.take())
  assert.deepEqual([frag.length, frag.token], [30, 2])
  read(10)
  assert.equal(socket.stats().tokens, 3)
  frag.release()
  socket.close()
  iovs.forget()
  assert.equal(iovs.pool.out, 0)
  await immediate()
  await end(pages.pool, iovs.pool)
})

test('the loop waits for data, ends with the stream, and fails with it', async () => {
  const source = pageSource()
  for (const [finish, expected] of [
    [(socket: DevmemSocket) => socket.fin(), undefined],
    [
      (socket: DevmemSocket) =>
        socket.reset(new ConnectionError('NETMEM_CONNECTION_RESET', 'The peer reset it.')),
      'NETMEM_CONNECTION_RESET',
    ],
    [(socket: DevmemSocket) => socket.close(), 'NETMEM_SOCKET_CLOSED'],
  ] as const) {
    const socket = new DevmemSocket()
    const lengths: number[] = []
    const loop = (async () => {
      for await (const frag of receiveFrags(socket)) {
        lengths.push(frag.length)
        frag.release()
      }
    })()
    for (const length of [1, 2, 3]) {
      await immediate()
      socket.queue(source.of(pattern(length)))
      socket.queue(source.of(pattern(10 * length)))
    }
    await immediate()
    finish(socket)
    if (expected === undefined) await loop
    else await assert.rejects(loop, code(expected))
    assert.deepEqual(lengths, [1, 10, 2, 20, 3, 30])
    socket.close()
  }
  await end(source.pool)
})

test('one call waits at a time; leaving the loop ends its wait and not the socket', async () => {
  const source = pageSource()
  const socket = new DevmemSocket()
  const receiver = receiveFrags(socket)
  const iterator = receiver[Symbol.asyncIterator]()
  const waiting = iterator.next()
  await assert.rejects(iterator.next(), code('NETMEM_BUSY'))
  const other = receiver[Symbol.asyncIterator]()
  await other.return?.()
  assert.deepEqual(await iterator.return?.(), { done: true, value: undefined })
  assert.deepEqual(await waiting, { done: true, value: undefined })
  socket.queue(source.of(pattern(5)))
  for await (const frag of receiver) {
    frag.release()
    break
  }
  assert.ok(socket.queue(source.of(pattern(1))), 'leaving the loop does not close it')
  socket.close()
  await end(source.pool)
})

test('no token, or a foreign binding, fails the call and leaves the data', async () => {
  const source = iovSource()
  const socket = new DevmemSocket({ tokenLimit: 1 })
  const receiver = receiveFrags(socket)
  socket.queue(source.skb([iovPiece(0, 10), iovPiece(1, 20)]))
  const first = deviceFrag(receiver.take())
  assertCode('NETMEM_NO_TOKEN', () => receiver.take())
  first.release()
  assert.equal(deviceFrag(receiver.take()).length, 20)
  socket.close()
  const other = new DevmemSocket({ bindingId: 9 })
  source.forget()
  other.queue(source.skb([iovPiece(0, 10)]))
  const iterator = receiveFrags(other)[Symbol.asyncIterator]()
  await assert.rejects(iterator.next(), code('NETMEM_NO_DEVICE'))
  other.close()
  await end(source.pool)
})

test('packets that lie one behind the other in a page are one frag to a reader who is behind', async () => {
  for (const source of [pageSource(), iovSource()]) {
    const socket = new DevmemSocket()
    const receiver = receiveFrags(socket)
    for (const at of [0, 100, 200, 301]) socket.queue(source.skb([iovPiece(0, 100, at)]))
    source.forget()
    assert.equal(socket.reader.queue.length, 2)
    const frags = [receiver.take(), receiver.take()]
    assert.deepEqual(
      frags.map((frag) => frag?.length),
      [300, 100],
    )
    assert.equal(socket.readable, false)
    for (const frag of frags) frag?.release()
    socket.close()
    await end(source.pool)
  }
})
