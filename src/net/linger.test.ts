import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { some } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { pattern, rejection, same, send, until, ways, withEnds } from './harness.test.helper.ts'
import { receiveInto } from './receivers/receive-into.ts'

// Closing with something unread makes the kernel send a reset and drop what it has not transmitted.
for (const way of ways(['tcp4', 'unix', 'tls'])) {
  const { name, skip } = way

  test(`bytes written before close() arrive, also while the peer sends (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      peer.write(pattern(0, 50_000))
      const written = [0, 1_000_000].map((at) => connection.write(pattern(at, 1_000_000)))
      const closed = connection.close()
      await turns()
      let at = 0
      for await (const chunk of peer.iterator({ destroyOnReturn: false })) {
        same(chunk as Buffer, at)
        at += (chunk as Buffer).byteLength
      }
      peer.end()
      assert.equal(at, 2_000_000)
      await Promise.all([...written, closed])
      assert.equal(pool.out, 0)
    }),
  )

  test(`close() does not wait long for a peer that keeps its side open (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      await connection.write('x')
      const waiting = rejection(connection.receive())
      const closing = connection.close()
      assert.equal(await waiting, 'NETMEM_CONNECTION_CLOSED')
      await once(peer.resume(), 'end')
      await closing
      assert.ok(!peer.writableEnded, 'the peer has not closed its side')
    }),
  )

  test(`close() does not wait long for a peer that still sends (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      await connection.write('x')
      void send(peer, 0, 1e9)
      some(await connection.receive()).release()
      await connection.close()
      assert.equal(pool.out, 0)
      await until(() => peer.destroyed, 'the peer is told')
    }),
  )

  test(`memory that was posted is not written to while it closes (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      await connection.write('x')
      const destination = new Uint8Array(500_000)
      let arrived = 0
      const onProgress = (bytes: number): void => {
        arrived = bytes
      }
      const received = rejection(receiveInto(connection, destination, { onProgress }))
      await send(peer, 0, 100_000)
      await until(() => arrived === 100_000, 'a part has arrived')
      const closing = connection.close()
      assert.equal(await received, 'NETMEM_CONNECTION_CLOSED')
      destination.fill(0)
      peer.end(pattern(100_000, 100_000))
      await closing
      assert.ok(destination.every((byte) => byte === 0))
      assert.equal(pool.out, 0)
    }),
  )
}
