// Resets of connections without a receiver.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { receiveAll, rejection, same, send, ways, withEnds } from '../harness.test.helper.ts'

const skip = process.platform !== 'linux' && 'Linux alone tells'

for (const way of ways(['tcp4', 'tcp6'])) {
  for (const bytes of [0, 1000, 200_000]) {
    test(
      `a reset after ${bytes} bytes without a reader closes the connection (${way.name})`,
      {
        skip: skip || way.skip,
      },
      () =>
        withEnds(way, async ({ connection, peer }) => {
          await send(peer, 0, bytes)
          peer.resetAndDestroy()
          await connection.closed
          assert.equal(connection.state.kind, 'failed')
          let at = 0
          const received = (async () => {
            for await (const frag of connection) {
              same(frag.bytes, at)
              at += frag.length
              frag.release()
            }
          })()
          assert.equal(await rejection(received), 'NETMEM_CONNECTION_RESET')
          // A reset drops what the sender's system had not yet sent, and no more.
          assert.ok(bytes > 1000 ? at > 0 && at <= bytes : at === bytes, `${at} of ${bytes} bytes`)
        }),
    )
  }

  test(
    `a reset while the application has enough closes the connection (${way.name})`,
    {
      skip: skip || way.skip,
    },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        const sent = send(peer, 0, 200_000)
        const first = await connection.receive()
        assert.ok(first)
        same(first.bytes, 0)
        const from = first.length
        first.release()
        await sent
        peer.resetAndDestroy()
        await connection.closed
        assert.equal(await rejection(receiveAll(connection, from)), 'NETMEM_CONNECTION_RESET')
      }),
  )

  test(
    `a reset behind the peer's end closes the connection (${way.name})`,
    {
      skip: skip || way.skip,
    },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        const ended = connection.receive()
        peer.end()
        assert.equal(await ended, undefined)
        assert.equal(connection.state.kind, 'ended')
        peer.resetAndDestroy()
        await connection.closed
        assert.equal(connection.state.kind, 'failed')
      }),
  )

  test(
    `a reset behind this side's end closes the connection (${way.name})`,
    {
      skip: skip || way.skip,
    },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        const told = once(peer.resume(), 'end')
        await connection.end()
        await told
        peer.resetAndDestroy()
        await connection.closed
        assert.equal(connection.state.kind, 'failed')
      }),
  )
}
