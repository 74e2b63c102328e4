import assert from 'node:assert/strict'
import { test } from 'node:test'
import { some } from '../../testing/pools.test.helper.ts'
import {
  type Ends,
  pattern,
  readAll,
  rejection,
  send,
  ways,
  withEnds,
} from '../harness.test.helper.ts'
import { pipeTo } from './pipe.ts'

const total = 3_000_000

for (const way of ways(['tcp4', 'unix', 'tls'])) {
  test(`an echo is a connection piped to itself (${way.name})`, { skip: way.skip }, () =>
    withEnds(
      way,
      async ({ connection, peer, pool }) => {
        const echoed = readAll(peer)
        void send(peer, 0, total).then(() => peer.end())
        assert.equal(await connection.pipeTo(connection), total)
        assert.equal(await echoed, total)
        assert.equal(connection.bytesWritten, total)
        assert.equal(pool.out, 0)
      },
      { pages: 4 },
    ),
  )
}

const way = some(ways(['tcp4'], ['posted'])[0])

/** Two connections and their peers. */
function withTwo(body: (from: Ends, to: Ends) => Promise<void>): Promise<void> {
  return withEnds(way, (from) => withEnds(way, (to) => body(from, to)))
}

test('a proxy passes the end on, and the other direction stays open', () =>
  withTwo(async (from, to) => {
    const passed = readAll(to.peer)
    void send(from.peer, 0, total).then(() => from.peer.end())
    assert.equal(await pipeTo(from.connection, to.connection), total)
    assert.equal(await passed, total)
    to.peer.write(pattern(0, 10))
    const answer = await to.connection.receive()
    assert.equal(answer?.length, 10)
    answer?.release()
  }))

test('a source that is reset resets the destination: its peer does not see a good end', () =>
  withTwo(async (from, to) => {
    const error = new Promise<Error>((resolve) => to.peer.once('error', resolve))
    to.peer.resume()
    const piped = pipeTo(from.connection, to.connection)
    from.peer.resetAndDestroy()
    assert.equal(await rejection(piped), 'NETMEM_CONNECTION_RESET')
    assert.match(String(await error), /ECONNRESET/)
    assert.equal(to.connection.state.kind, 'failed')
  }))

test('a destination that is closed ends the pipe while nothing arrives, and leaves the source', () =>
  withTwo(async (from, to) => {
    const piped = pipeTo(from.connection, to.connection)
    to.connection.destroy()
    await assert.rejects(piped, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
    from.peer.write(pattern(0, 10))
    const frag = await from.connection.receive()
    assert.equal(frag?.length, 10)
    frag?.release()
  }))

test('preventClose leaves a destination open for the next source', () =>
  withTwo(async (from, to) => {
    const passed = readAll(to.peer)
    void send(from.peer, 0, 1000).then(() => from.peer.end())
    assert.equal(await pipeTo(from.connection, to.connection, { preventClose: true }), 1000)
    await to.connection.write(pattern(1000, 1000))
    await to.connection.end()
    assert.equal(await passed, 2000)
  }))

test('a destination that is neither stream nor connection is refused', async () => {
  await withEnds(way, async ({ connection }) => {
    const piped: unknown = Reflect.apply(pipeTo, undefined, [connection, { write() {}, end() {} }])
    assert.ok(piped instanceof Promise)
    assert.equal(await rejection(piped), 'NETMEM_INVALID_ARGUMENT')
  })
})
