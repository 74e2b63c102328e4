/** Tests that every implementation of {@link Connection} into host memory passes. */

import assert from 'node:assert/strict'
import { test as nodeTest } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Connection } from '../connection.ts'
import { isNetmemError } from '../errors.ts'
import type { HostFrag } from '../pool/frag.ts'
import type { ConformanceOptions } from './provider-conformance.ts'

/** Both ends of one connection, which may receive into one pool or two. */
export interface ConnectionEnds {
  /** The end under test. */
  readonly connection: Connection
  /** The other end. */
  readonly peer: Connection
  /** True if the transport has resets: a peer that destroys its end with a reason sends one. */
  readonly resets: boolean
  /** Called when the test is over and both ends are closed. */
  readonly close?: () => void | Promise<void>
}

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
  'pipes to a connection': testPipe,
}

/**
 * Registers the tests that every connection into host memory passes: order, backpressure,
 * half-close, reset, abort, disposal, one receiver at a time, and nothing in flight at the end.
 *
 * @param open - called for each test. Returns two connected ends with nothing sent yet. Pools of
 *   256 KiB to 16 MiB keep the tests quick.
 * @param options - `test` registers one test with another runner.
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
  options: ConformanceOptions = {},
): void {
  const register = options.test ?? ((title, body) => nodeTest(title, body))
  for (const [what, body] of Object.entries(TESTS)) {
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
        assert.equal(pool.stats().copied.bytesOut, 0, 'no copy is out')
      }
    })
  }
}

async function testOrder({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 3_000_000
  const sending = Promise.all([send(connection, 0, bytes), send(peer, 7, bytes)])
  const received = await Promise.all([receive(connection, 7, bytes), receive(peer, 0, bytes)])
  await sending
  assert.deepEqual(received, [bytes, bytes])
  for (const { bytesRead, bytesWritten } of [connection, peer]) {
    assert.equal(bytesWritten, bytes)
    assert.ok(bytesRead >= bytes)
  }
  // Bytes 65 to 69 of the pattern are the text ABCDE.
  await peer.write(['AB', pattern(67, 2), 'E'])
  assert.equal(await receive(connection, 65, 5), 5)
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
    const { bytesOut } = pool.stats().copied
    assert.ok(bytesOut <= limit, `copies of ${bytesOut} bytes beside a pool of ${limit}`)
    await turn()
  }
  assert.equal(at, total)
  await sending
}

async function testHalfClose({ connection, peer }: ConnectionEnds): Promise<void> {
  await peer.write(pattern(0, 1000))
  await peer.end()
  assert.equal(await receive(connection, 0), 1000)
  assert.equal(connection.state.kind, 'ended')
  assert.equal(await connection.receive(), undefined, 'the end is told again')
  await connection.write(pattern(0, 2000))
  await connection.end()
  assert.equal(await receive(peer, 0), 2000)
  await Promise.all([connection.close(), peer.close()])
  assert.deepEqual([connection.state.kind, peer.state.kind], ['closed', 'closed'])
}

async function testClose({ connection, peer }: ConnectionEnds): Promise<void> {
  const bytes = 1_000_000
  void connection.write(pattern(0, bytes)).catch(() => {})
  const closing = connection.close()
  assert.equal(connection.close(), closing, 'a second call gets the same promise')
  assert.equal(await receive(peer, 0), bytes)
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
  assert.equal(await receive(connection, 0, 100_000), 100_000)
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
  const sending = send(peer, 0, bytes).catch(() => {})
  const first = await connection.receive()
  assert.ok(first !== undefined)
  await connection[Symbol.asyncDispose]()
  assert.equal(connection.state.kind, 'closed')
  same(first.bytes, 0)
  first.release()
  assert.equal(connection.pool.stats().copied.bytesOut, 0, 'what was not received is given back')
  peer.destroy()
  await sending
}

async function testOneReceiver({ connection, peer }: ConnectionEnds): Promise<void> {
  const first = connection.receive()
  assert.equal(await outcome(connection.receive()), 'NETMEM_BUSY')
  assert.equal(await outcome(connection[Symbol.asyncIterator]().next()), 'NETMEM_BUSY')
  await peer.write(pattern(0, 10))
  const frag = await first
  assert.ok(frag !== undefined)
  same(frag.bytes, 0)
  frag.release()
}

async function testLeftLoop({ connection, peer }: ConnectionEnds): Promise<void> {
  const sending = send(peer, 0, 100_000).then(() => peer.end())
  let at = 0
  for await (const frag of connection) {
    same(frag.bytes, at)
    at += frag.length
    frag.release()
    break
  }
  assert.ok(at > 0 && connection.state.kind !== 'closed')
  assert.equal(at + (await receive(connection, at)), 100_000)
  await sending
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
  const sending = send(peer, 0, bytes).then(() => peer.end())
  assert.equal(await receive(peer, 0), bytes)
  await sending
  assert.equal(await echo, bytes)
}

const CHUNK = 64 * 1024
/** A prime, so that no two pages or reads hold the same bytes. */
const PERIOD = 65_521
const CONTENTS = Uint8Array.from({ length: PERIOD + CHUNK }, (_, at) => {
  const position = at % PERIOD
  return position ^ (position >>> 8)
})

/** Bytes `offset` to `offset + length` of an endless pattern. */
function pattern(offset: number, length: number): Uint8Array {
  const from = offset % PERIOD
  if (length <= CHUNK) return CONTENTS.subarray(from, from + length)
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += CHUNK) {
    bytes.set(pattern(offset + at, Math.min(CHUNK, length - at)), at)
  }
  return bytes
}

function same(bytes: Uint8Array, offset: number): void {
  const expected = pattern(offset, bytes.byteLength)
  assert.equal(Buffer.compare(bytes, expected), 0, `bytes from ${offset}`)
}

/** Writes `bytes` bytes of the pattern from `offset` on, one write after the other. */
async function send(to: Connection, offset: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += CHUNK) {
    await to.write(pattern(offset + at, Math.min(CHUNK, bytes - at)))
  }
}

/** Receives `bytes` bytes, or to the end, and compares them with the pattern from `offset` on. */
async function receive(
  from: Connection,
  offset: number,
  bytes: number = Number.POSITIVE_INFINITY,
): Promise<number> {
  let at = 0
  let frag: HostFrag | undefined
  while (at < bytes) {
    frag = await from.receive()
    if (frag === undefined) break
    try {
      same(frag.bytes, offset + at)
      at += frag.length
    } finally {
      frag.release()
    }
  }
  return at
}

/** Code that `promise` rejects with, or `resolved`. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    assert.ok(isNetmemError(error), `an error with a code, not ${error}`)
    return error.code
  }
}
