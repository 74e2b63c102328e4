/** Tests that every implementation of {@link Connection} into host memory passes. */

import assert from 'node:assert/strict'
import { test as nodeTest } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { isNetmemError } from '../errors.ts'
import {
  CHUNK,
  type ConnectionEnds,
  outcome,
  pattern,
  receivePattern,
  same,
  sendPattern,
} from './connection-ends.ts'
import type { ConformanceOptions } from './provider-conformance.ts'
import { testFill, testFragOf, testLeftLoop, testOneReceiver, testShow } from './receiver-tests.ts'

type TestBody = (ends: ConnectionEnds) => Promise<void>

/** Tests by name. After each, the pools may have no memory in flight. */
const TESTS: { readonly [what: string]: TestBody } = {
  'delivers all bytes in their order': testOrder,
  'holds back a sender that is faster than its receiver': testBackpressure,
  'stays open for writing when the peer has finished': testHalfClose,
  'closes when everything written is sent': testClose,
  'reports a reset, and no proper end': testReset,
  'gives up a wait, and loses nothing': testAbort,
  'ends at once with the reason of destroy()': testDestroy,
  'gives back on close what was not received, and leaves alone what was': testDisposal,
  'has one receiver at a time': testOneReceiver,
  'stays open when a loop is left': testLeftLoop,
  'refuses what cannot be written': testWrites,
  'sends text without a promise': testSend,
  'pipes to a connection': testPipe,
}

/** Tests of `receivers`, by name. */
const RECEIVER_TESTS: { readonly [what: string]: TestBody } = {
  'fills memory of the application, and leaves what follows': testFill,
  'shows bytes to a viewer, and leaves what it does not take': testShow,
  'makes a frag of a copy, and takes one that has arrived': testFragOf,
}

/** Options of {@link connectionConformance}. */
export interface ConnectionConformanceOptions extends ConformanceOptions {
  /**
   * False leaves out the tests of `receivers` of a connection, which a connection that may receive
   * into device memory does not have. True by default.
   */
  readonly receivers?: boolean
}

/**
 * Registers the tests that every connection into host memory passes: order, backpressure,
 * half-close, reset, abort, disposal, one receiver at a time, `receivers`, and nothing in flight at
 * the end.
 *
 * @param open - called for each test. Returns two connected ends with nothing sent yet. Pools of
 *   256 KiB to 16 MiB keep the tests quick.
 * @param options - `test` registers one test with another runner. `receivers` leaves some out.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { connect, listen } from 'netmem/net'
 * import { connectionConformance } from 'netmem/testing'
 *
 * connectionConformance('TCP', async () => {
 *   const pool = createPool(hostProvider({ pages: 16, pageSize: 65536 }))
 *   const listener = await listen({ pool, port: 0 })
 *   const { host, port } = listener.address
 *   const [connection, peer] = await Promise.all([connect({ pool, host, port }), listener.accept()])
 *   if (peer === undefined) throw new Error('The listener was closed.')
 *   return { connection, peer, resets: true, close: () => listener.close() }
 * })
 * ```
 */
export function connectionConformance(
  name: string,
  open: () => Promise<ConnectionEnds>,
  options: ConnectionConformanceOptions = {},
): void {
  const register = options.test ?? ((title, body) => nodeTest(title, body))
  const tests = options.receivers === false ? TESTS : { ...TESTS, ...RECEIVER_TESTS }
  for (const [what, body] of Object.entries(tests)) {
    register(`${name}: ${what}`, async () => {
      const ends = await open()
      try {
        await body(ends)
      } finally {
        for (const end of [ends.connection, ends.peer]) end.destroy()
        await Promise.all([ends.connection.closed, ends.peer.closed])
        await ends.close?.()
      }
      for (const { pool } of [ends.connection, ends.peer]) {
        assert.equal(pool.out, 0, 'no page is out')
        assert.equal(pool.stats().copied.bytes_out, 0, 'no copy is out')
      }
    })
  }
}

async function testOrder({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 3_000_000
  const sending = Promise.all([sendPattern(connection, 0, bytes), sendPattern(peer, 7, bytes)])
  const received = await Promise.all([
    receivePattern(connection, 7, bytes),
    receivePattern(peer, 0, bytes),
  ])
  await sending
  assert.deepEqual(received, [bytes, bytes])
  for (const { bytesRead, bytesWritten } of [connection, peer]) {
    assert.equal(bytesWritten, bytes)
    assert.ok(bytesRead >= bytes)
  }
  // Bytes 65 to 69 of the pattern are the text ABCDE.
  await peer.write(['AB', pattern(67, 2), 'E'])
  assert.equal(await receivePattern(connection, 65, 5), 5)
}

async function testBackpressure({ connection, peer }: ConnectionEnds): Promise<void> {
  const total = 48 * 1024 * 1024
  // Linux 6.18 buffers up to 36 MiB of a TCP connection: net.ipv4.tcp_rmem and tcp_wmem together.
  const ahead = 40 * 1024 * 1024
  let sent = 0
  const sending = (async () => {
    for (; sent < total; sent += CHUNK) await peer.write(pattern(sent, CHUNK))
    await peer.end()
  })()
  const { pool } = connection
  const limit = pool.capacity * pool.pageSize
  let at = 0
  for await (const frag of connection) {
    same(frag.bytes, at)
    at += frag.length
    frag.release()
    assert.ok(sent - at < ahead, `${sent - at} bytes were written ahead of the receiver`)
    const { bytes_out } = pool.stats().copied
    assert.ok(bytes_out <= limit, `copies of ${bytes_out} bytes beside a pool of ${limit}`)
    await turn()
  }
  assert.equal(at, total)
  await sending
}

async function testHalfClose({ connection, peer }: ConnectionEnds): Promise<void> {
  await peer.write(pattern(0, 1000))
  await peer.end()
  assert.equal(await receivePattern(connection, 0), 1000)
  assert.equal(connection.state.kind, 'ended')
  assert.equal(await connection.receive(), undefined, 'the end is told again')
  await connection.write(pattern(0, 2000))
  await connection.end()
  assert.equal(await receivePattern(peer, 0), 2000)
  await Promise.all([connection.close(), peer.close()])
  assert.deepEqual([connection.state.kind, peer.state.kind], ['closed', 'closed'])
}

async function testClose({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 1_000_000
  void connection.write(pattern(0, bytes)).catch(() => {})
  const closing = connection.close()
  assert.equal(connection.close(), closing, 'a second call gets the same promise')
  assert.equal(await receivePattern(peer, 0), bytes)
  await peer.close()
  await closing
  await connection.closed
  assert.equal(connection.state.kind, 'closed')
  assert.equal(await outcome(connection.receive()), 'NETMEM_CONNECTION_CLOSED')
}

async function testReset({ connection, peer, resets }: ConnectionEnds): Promise<void> {
  const end = outcome(connection.receive())
  await peer.write('')
  peer.destroy(new Error('the peer gives up'))
  const code = await end
  if (!resets) return
  assert.equal(code, 'NETMEM_CONNECTION_RESET')
  await connection.closed
  const { state } = connection
  assert.ok(state.kind === 'failed' && isNetmemError(state.error))
  assert.equal(state.error.code, 'NETMEM_CONNECTION_RESET')
  for (const call of [connection.receive(), connection.write('x'), connection.end()]) {
    assert.equal(await outcome(call), 'NETMEM_CONNECTION_RESET', 'later calls repeat it')
  }
}

async function testAbort({ connection, peer }: ConnectionEnds): Promise<void> {
  const controller = new AbortController()
  const waiting = connection.receive({ signal: controller.signal })
  controller.abort()
  assert.equal(await outcome(waiting), 'NETMEM_ABORTED')
  assert.equal(await outcome(connection.receive({ signal: controller.signal })), 'NETMEM_ABORTED')
  assert.equal(connection.state.kind, 'open')
  await peer.write(pattern(0, 100_000))
  assert.equal(await receivePattern(connection, 0, 100_000), 100_000)
}

async function testDestroy({ connection, peer }: ConnectionEnds): Promise<void> {
  const reason = new Error('no more of this')
  const waiting = connection.receive()
  connection.destroy(reason)
  // The peer ends before it can learn of the reset.
  peer.destroy()
  await assert.rejects(waiting, reason)
  await connection.closed
  assert.deepEqual(connection.state, { kind: 'failed', error: reason })
  await assert.rejects(connection.receive(), reason)
  await assert.rejects(connection.write('x'), reason)
  connection.destroy(new Error('a later reason'))
  assert.deepEqual(connection.state, { kind: 'failed', error: reason })
  assert.equal(await outcome(peer.receive()), 'NETMEM_CONNECTION_CLOSED')
  assert.equal(await outcome(peer.write('x')), 'NETMEM_CONNECTION_CLOSED')
}

async function testDisposal({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 200_000
  const sending = sendPattern(peer, 0, bytes).catch(() => {})
  const first = await connection.receive()
  assert.ok(first !== undefined)
  await connection[Symbol.asyncDispose]()
  assert.equal(connection.state.kind, 'closed')
  same(first.bytes, 0)
  first.release()
  assert.equal(connection.pool.stats().copied.bytes_out, 0, 'what was not received is given back')
  peer.destroy()
  await sending
}

async function testSend({ connection, peer }: ConnectionEnds): Promise<void> {
  peer.send('AB')
  await peer.write('CDE')
  assert.equal(await receivePattern(connection, 65, 5), 5)
  assert.equal(peer.bytesWritten, 5)
  peer.destroy()
  peer.send('lost')
  assert.equal(peer.bytesWritten, 5)
}

async function testWrites({ connection, peer }: ConnectionEnds): Promise<void> {
  const wrong: unknown[] = [5, null, undefined, {}, ['text', 5]]
  for (const data of wrong) {
    const written: unknown = Reflect.apply(connection.write, connection, [data])
    assert.equal(await outcome(Promise.resolve(written)), 'NETMEM_INVALID_ARGUMENT')
  }
  assert.equal(connection.bytesWritten, 0)
  await connection.end()
  assert.equal(await outcome(connection.write('late')), 'NETMEM_CONNECTION_CLOSED')
  assert.equal(await peer.receive(), undefined)
}

async function testPipe({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 1_000_000
  const echo = connection.pipeTo(connection)
  const sending = sendPattern(peer, 0, bytes).then(() => peer.end())
  assert.equal(await receivePattern(peer, 0), bytes)
  await sending
  assert.equal(await echo, bytes)
}
