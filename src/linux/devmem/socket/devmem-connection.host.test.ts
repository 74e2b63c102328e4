// Connections over a kernel that is played: device memory, tokens and completions, in every order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Frag } from '../../../pool/frag.ts'
import { codeOf } from '../../../testing/fails-with.test.helper.ts'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { turns } from '../../../testing/waiting.test.helper.ts'
import { ERRNO } from '../../sys/errno.ts'
import { useOf } from './binding-use.ts'
import { FakeIo, type Piece } from './fake-io.test.helper.ts'
import { OpenDevmemConnection } from './open-devmem-connection.ts'
import { device, PAGE, setUp, take } from './played-connection.test.helper.ts'

test('frags come in order, with the bytes that came with headers between them', async () => {
  const { pool, binding, io, connection } = setUp()
  const waiting = connection.receive()
  io.arrive({ kind: 'linear', bytes: Uint8Array.of(1, 2) }, device(5, 100), device(9, 200))
  io.arrive({ kind: 'linear', bytes: Uint8Array.of(3) })
  io.finish()
  const frags = [some(await waiting), ...(await take(connection, 3))]
  assert.equal(await connection.receive(), undefined)
  const seen = frags.map((frag) =>
    frag.kind === 'page' ? [...frag.bytes] : [frag.binding === binding, frag.offset, frag.length],
  )
  assert.deepEqual(seen, [[1, 2], [true, 5 * PAGE, 100], [true, 9 * PAGE, 200], [3]])
  const { linear_bytes, device_bytes, device_frags, tokens_out } = connection.stats()
  assert.deepEqual([linear_bytes, device_bytes, device_frags, tokens_out], [3, 300, 2, 2])
  assert.equal(connection.bytesRead, 303)
  for (const frag of frags) {
    frag.release()
    frag.release()
  }
  await connection.close()
  assert.equal(io.tokens.size, 0)
  assert.ok(io.closed)
  await pool.destroy()
})

test('tokens go back together, at the end of the turn', async () => {
  const { io, connection } = setUp()
  io.arrive(...Array.from({ length: 100 }, (_, index) => device(index)))
  for (const frag of await take(connection, 100)) frag.release()
  assert.equal(io.returns.length, 0)
  await turns()
  assert.deepEqual(io.returns, [[1, 100]])
  // Released out of order: a token that does not follow the one before it has a range of its own.
  io.arrive(...Array.from({ length: 6 }, (_, index) => device(index)))
  const frags = await take(connection, 6)
  for (const index of [4, 0, 1, 3, 5, 2]) frags[index]?.release()
  connection.flush()
  assert.deepEqual(io.returns[1], [5, 1, 1, 2, 4, 1, 6, 1, 3, 1])
  assert.deepEqual([connection.stats().tokens_out, connection.stats().return_calls], [0, 2])
  connection.destroy()
})

test('no call has more than 128 ranges or 1024 tokens', async () => {
  const { io, connection } = setUp({}, 2 ** 30)
  const held: Frag[] = []
  for (let packet = 0; packet < 40; packet++) {
    io.arrive(...Array.from({ length: 128 }, (_, index) => device(index)))
    held.push(...(await take(connection, 128)))
  }
  for (const frag of held.filter((_, index) => index % 2 === 0)) frag.release()
  for (const frag of held) frag.release()
  connection.flush()
  assert.equal(io.tokens.size, 0)
  for (const ranges of io.returns) {
    assert.ok(ranges.length <= 2 * 128)
    const tokens = ranges.reduce((sum, count, at) => (at % 2 === 0 ? sum : sum + count), 0)
    assert.ok(tokens <= 1024, `${tokens}`)
  }
  connection.destroy()
})

test('tokens go back at once while a quarter of the binding is held, over all connections', async () => {
  // 64 net_iovs: 16 may be held.
  const { binding, io, connection } = setUp({}, 64 * PAGE)
  const other = new FakeIo()
  const second = new OpenDevmemConnection(other, { pool: connection.pool, binding })
  io.arrive(...Array.from({ length: 10 }, (_, index) => device(index)))
  other.arrive(...Array.from({ length: 7 }, (_, index) => device(20 + index)))
  const mine = await take(connection, 10)
  const theirs = await take(second, 7)
  assert.equal(useOf(binding).tokens, 17)
  mine[0]?.release()
  assert.deepEqual(io.returns, [[1, 1]])
  mine[1]?.release()
  assert.equal(io.returns.length, 1, 'no longer pressed')
  for (const frag of [...mine, ...theirs]) frag.release()
  await turns()
  assert.equal(useOf(binding).tokens, 0)
  connection.destroy()
  second.destroy()
})

test('tokens of two bindings are counted apart, and go back by the binding', async () => {
  const other = { id: 8, ifindex: 2, queues: [4], dmabuf: { bytes: 2 ** 24 } }
  const { pool, binding, connection } = setUp()
  const io = new FakeIo()
  const both = new OpenDevmemConnection(io, { pool, binding: [binding, other] })
  io.arrive(device(0), device(1), device(2, PAGE, 8), device(3, PAGE, 8), device(4))
  const frags = await take(both, 5)
  const bindings = frags.map((frag) => frag.kind === 'net_iov' && frag.binding)
  assert.deepEqual(bindings, [binding, binding, other, other, binding])
  const tokens = () => [useOf(binding).tokens, useOf(other).tokens]
  assert.deepEqual(tokens(), [3, 2])
  for (const frag of frags) frag.release()
  assert.deepEqual(tokens(), [1, 0], 'the last one waits for the end of the turn')
  both.flush()
  assert.deepEqual([tokens(), both.stats().tokens_out], [[0, 0], 0])
  assert.deepEqual(io.returns, [
    [1, 2],
    [3, 2],
    [5, 1],
  ])
  both.destroy()
  connection.destroy()
})

test('strict refuses payload in host memory, and keeps what came before', async () => {
  const { io, connection, pool } = setUp({ strict: true })
  io.arrive(device(1))
  io.arrive({ kind: 'linear', bytes: Uint8Array.of(1) }, device(2))
  const [first] = await take(connection, 1)
  const [second] = await take(connection, 1)
  assert.equal(second?.kind, 'net_iov')
  assert.equal(await codeOf(connection.receive()), 'NETMEM_DEVMEM_READABLE')
  assert.ok(io.events.includes('reset'))
  assert.ok(!io.closed, 'two frags are out')
  first?.release()
  second?.release()
  await turns()
  assert.ok(io.closed)
  await pool.destroy()
})

test('memory of another binding goes back, and fails the connection', async () => {
  const { io, connection } = setUp()
  io.arrive(device(1), device(2, PAGE, 8))
  const [frag] = await take(connection, 1)
  assert.equal(await codeOf(connection.receive()), 'NETMEM_DEVMEM_OTHER_BINDING')
  assert.deepEqual([...io.tokens], [1])
  frag?.release()
  await turns()
  assert.ok(io.closed)
})

test('a receiver that waits gets its own frag of a failing read, and later ones the rest', async () => {
  const { io, connection } = setUp()
  const waiting = connection.receive()
  io.arrive(device(1), device(2), device(3, PAGE, 8))
  const first = some(await waiting)
  const [second] = await take(connection, 1)
  assert.equal(await codeOf(connection.receive()), 'NETMEM_DEVMEM_OTHER_BINDING')
  const offsets = [first, second].map((frag) => frag?.kind === 'net_iov' && frag.offset)
  assert.deepEqual(offsets, [PAGE, 2 * PAGE])
  first.release()
  second?.release()
  await turns()
  assert.ok(io.closed)
})

test('a receiver that has given up gets no payload read for it', async () => {
  const { io, connection } = setUp()
  const controller = new AbortController()
  const given = codeOf(connection.receive({ signal: controller.signal }))
  controller.abort()
  assert.equal(await given, 'NETMEM_ABORTED')
  io.arrive(device(1))
  await turns()
  assert.equal(connection.stats().device_frags, 0)
  connection.destroy()
})

test('a connection that fails while its pool is dry delivers what arrived, and then the error', async () => {
  const { pool, io, connection } = setUp()
  const held = Array.from({ length: pool.capacity }, () => some(pool.alloc()))
  const linear = (byte: number): Piece => ({ kind: 'linear', bytes: Uint8Array.of(byte) })
  io.arrive(linear(1))
  io.arrive(linear(2))
  io.finish(ERRNO.ECONNRESET)
  await turns()
  assert.equal(connection.state.kind, 'open', 'bytes in front of the reset wait for a page')
  const waiting = connection.receive()
  await turns()
  pool.put(some(held.pop()))
  const first = some(await waiting)
  assert.ok(first.kind === 'page')
  assert.deepEqual([...first.bytes], [1])
  first.release()
  const [second] = await take(connection, 1)
  assert.ok(second?.kind === 'page')
  assert.deepEqual([...second.bytes], [2])
  second.release()
  assert.equal(await codeOf(connection.receive()), 'NETMEM_CONNECTION_RESET')
  for (const page of held) pool.put(page)
  await connection.closed
  await pool.destroy()
})

test('a connection that broke while its pool was dry waits for a receiver without polling', async () => {
  const { pool, io, connection } = setUp()
  const held = Array.from({ length: pool.capacity }, () => some(pool.alloc()))
  io.arrive({ kind: 'linear', bytes: Uint8Array.of(1) })
  io.finish(ERRNO.ECONNRESET)
  await turns()
  // The pool has pages again, and no call receives.
  for (const page of held) pool.put(page)
  const { waits } = io
  await turns()
  assert.equal(io.waits, waits)
  const [frag] = await take(connection, 1)
  frag?.release()
  await connection.closed
  assert.equal(await codeOf(connection.receive()), 'NETMEM_CONNECTION_RESET')
  await pool.destroy()
})

test('a connection that is destroyed while its pool is dry answers its receiver at once', async () => {
  for (const error of [undefined, new Error('enough')]) {
    const { pool, io, connection } = setUp()
    const held = Array.from({ length: pool.capacity }, () => some(pool.alloc()))
    const waiting = connection.receive()
    io.arrive({ kind: 'linear', bytes: Uint8Array.of(1) })
    await turns()
    connection.destroy(error)
    await assert.rejects(waiting, error ?? { code: 'NETMEM_CONNECTION_CLOSED' })
    for (const page of held) pool.put(page)
    await pool.destroy()
  }
})

test('every refusal of recvmsg has its code', async () => {
  for (const [errno, code] of [
    [ERRNO.ENODEV, 'NETMEM_DEVMEM_OTHER_BINDING'],
    [ERRNO.ENOMEM, 'NETMEM_DEVMEM_NO_TOKEN'],
    [ERRNO.EFAULT, 'NETMEM_DEVMEM_KERNEL'],
    [ERRNO.ECONNRESET, 'NETMEM_CONNECTION_RESET'],
    [ERRNO.ETIMEDOUT, 'NETMEM_CONNECTION_FAILED'],
    [ERRNO.ETOOSMALL, 'NETMEM_CONNECTION_FAILED'],
  ] as const) {
    const { io, connection } = setUp()
    io.arrive(device(1))
    io.finish(errno)
    const [frag] = await take(connection, 1)
    assert.equal(await codeOf(connection.receive()), code)
    frag?.release()
    await connection.closed
    connection.destroy()
  }
})

test('frags outlive the connection, and the socket is closed after the last', async () => {
  const { io, connection } = setUp()
  io.arrive(device(1), device(2), device(3))
  const frags = await take(connection, 2)
  await connection.close()
  assert.equal(connection.state.kind, 'closed')
  assert.deepEqual([...io.tokens], [1, 2], 'what was not received went back')
  frags[1]?.release()
  await turns()
  assert.ok(!io.closed)
  frags[0]?.release()
  await turns()
  assert.ok(io.closed)
})

test('device memory cannot be piped', async () => {
  const { io, connection } = setUp()
  io.arrive(device(1))
  const target = new WritableStream()
  const piped = Reflect.apply(connection.pipeTo, connection, [target])
  assert.equal(await codeOf(Promise.resolve(piped)), 'NETMEM_WRONG_KIND')
  await turns()
  assert.equal(io.tokens.size, 0)
  connection.destroy()
})

test('a stream that never pauses leaves other work its turns', async () => {
  const { io, connection } = setUp()
  let turnsSeen = 0
  let going = true
  const count = (): void => {
    turnsSeen++
    if (going) setImmediate(count)
  }
  setImmediate(count)
  for (let index = 0; index < 500; index++) {
    io.arrive(device(index))
    const [frag] = await take(connection, 1)
    frag?.release()
  }
  going = false
  assert.ok(turnsSeen >= 20, `${turnsSeen}`)
  connection.destroy()
})

test('in any order of events, every token goes back and the socket closes', async () => {
  const step = fc.constantFrom(
    'arrive',
    'receive',
    'release',
    'flush',
    'turn',
    'end',
    'break',
    'close',
    'destroy',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { pool, binding, io, connection } = setUp()
      const held: Frag[] = []
      const pending: Promise<unknown>[] = []
      for (const each of steps) {
        if (each === 'arrive')
          io.arrive(device(1), { kind: 'linear', bytes: Uint8Array.of(1) }, device(2))
        if (each === 'receive') {
          pending.push(
            connection.receive().then(
              (frag) => frag !== undefined && held.push(frag),
              () => undefined,
            ),
          )
        }
        if (each === 'release') held.shift()?.release()
        if (each === 'flush') connection.flush()
        if (each === 'turn') await turns()
        if (each === 'end') io.finish()
        if (each === 'break') io.finish(ERRNO.ECONNRESET)
        if (each === 'close') pending.push(connection.close())
        if (each === 'destroy') connection.destroy()
      }
      connection.destroy()
      await connection.closed
      await Promise.all(pending)
      for (const frag of held) frag.release()
      await turns()
      assert.equal(io.tokens.size, 0)
      assert.equal(useOf(binding).tokens, 0)
      assert.ok(io.closed)
      assert.equal(pool.out, 0)
      await pool.destroy()
    }),
    { numRuns: 300 },
  )
})
