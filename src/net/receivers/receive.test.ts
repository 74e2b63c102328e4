import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostFrag } from '../../pool/frag.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { settled } from '../../testing/waiting.test.helper.ts'
import { receiveAll, rejection, same, send, ways, withEnds } from '../harness.test.helper.ts'
import { receiveInto } from './receive-into.ts'

const total = 3_000_000

for (const way of ways()) {
  test(`all that arrives is received, frag by frag (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const sent = send(peer, 0, total).then(() => peer.end())
      assert.equal(await receiveAll(connection), total)
      await sent
      assert.equal(connection.state.kind, 'ended')
      assert.equal(await connection.receive(), undefined)
      assert.equal(pool.out, 0)
    }),
  )

  test(`receive() and receiveInto() take turns (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      void send(peer, 0, total).then(() => peer.end())
      let at = 0
      const sizes = [1, 100_000, 16_384, 65_536, 5, 300_000, 2]
      for (let round = 0; at < total; round++) {
        // The connection reads ahead after receive(): nothing of that may come out of its turn.
        for (let frags = round % 4; frags > 0; frags--) {
          const frag = await connection.receive()
          if (frag === undefined) break
          same(frag.bytes, at)
          at += frag.length
          frag.release()
        }
        const size = Math.min(some(sizes[round % sizes.length]), total - at)
        const into = new Uint8Array(size)
        assert.equal(await receiveInto(connection, into), size)
        same(into, at)
        at += size
      }
      assert.equal(at, total)
      assert.equal(await connection.receive(), undefined)
    }),
  )

  test(`a wait that is given up loses nothing (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const stop = new AbortController()
      const waiting = connection.receive({ signal: stop.signal })
      stop.abort()
      assert.equal(await rejection(waiting), 'NETMEM_ABORTED')
      assert.equal(
        await rejection(connection.receive({ signal: stop.signal })),
        'NETMEM_ABORTED',
        'an aborted signal does not wait',
      )
      assert.equal(connection.state.kind, 'open')
      const other = new AbortController()
      const received = connection.receive({ signal: other.signal })
      peer.write('abc')
      const frag = some(await received)
      assert.equal(Buffer.from(frag.bytes).toString(), 'abc')
      frag.release()
      // The signal is done with: it aborts no later wait.
      const later = connection.receive()
      other.abort()
      peer.end('def')
      const last = some(await later)
      assert.equal(last.length, 3)
      last.release()
    }),
  )

  test(`what was delivered is not overwritten (${way.name})`, { skip: way.skip }, () =>
    withEnds(
      way,
      async ({ connection, peer, pool }) => {
        void send(peer, 0, total).then(() => peer.end())
        const held: HostFrag[] = []
        for await (const frag of connection) held.push(frag)
        let at = 0
        for (const frag of held) {
          same(frag.bytes, at)
          at += frag.length
        }
        assert.equal(at, total)
        // Pages are filled up: no more of them are out than the data needs, but for a few ends.
        assert.ok(pool.out <= Math.ceil(total / pool.pageSize) + 8, `${pool.out} pages are out`)
        for (const frag of held) frag.release()
      },
      { pages: 64 },
    ),
  )
}

for (const way of ways(['tcp4'])) {
  test(`short reads are copied and share nothing (${way.name})`, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      for (let at = 0; at < 50; at++) {
        peer.write(Uint8Array.of(at, at, at))
        const frag = some(await connection.receive())
        assert.deepEqual([...frag.bytes], [at, at, at])
        assert.equal(pool.out, 0)
        frag.release()
      }
      assert.equal(pool.stats().copied.frags, 50)
      assert.equal(pool.stats().copied.bytes, 150)
    }))

  test(`a second receiver is turned away (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const first = connection.receive()
      assert.equal(await rejection(connection.receive()), 'NETMEM_BUSY')
      assert.equal(await rejection(receiveInto(connection, new Uint8Array(3))), 'NETMEM_BUSY')
      assert.equal(await rejection(receiveAll(connection)), 'NETMEM_BUSY')
      peer.write('abc')
      const frag = some(await first)
      assert.equal(frag.length, 3)
      frag.release()
      const second = receiveInto(connection, new Uint8Array(3))
      assert.equal(await rejection(connection.receive()), 'NETMEM_BUSY')
      peer.write('def')
      assert.equal(await second, 3)
    }))

  test(`leaving the loop leaves the connection open (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      void send(peer, 0, 500_000)
      let at = 0
      while (at < 500_000) {
        for await (const frag of connection) {
          same(frag.bytes, at)
          at += frag.length
          frag.release()
          break
        }
      }
      assert.equal(connection.state.kind, 'open')
    }))

  test(`return() of the iterator ends a wait, and takes nothing (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const frags = connection[Symbol.asyncIterator]()
      const next = frags.next()
      await frags.return?.()
      assert.deepEqual(await next, { done: true, value: undefined })
      peer.write('abc')
      const frag = some(await connection.receive())
      assert.equal(Buffer.from(frag.bytes).toString(), 'abc')
      frag.release()
    }))

  test(`reading ahead of a consumer that is slow is bounded (${way.name})`, () =>
    withEnds(
      way,
      async ({ connection, peer, pool }) => {
        let sent = 0
        peer.on('close', () => {})
        void (async () => {
          for (; !peer.destroyed; sent += 100_000) await send(peer, sent, sent + 100_000)
        })()
        const first = some(await connection.receive())
        // Waits until the sender does not get any further.
        const before = await settled(() => sent)
        assert.ok(pool.out <= 3, `${pool.out} pages are out`)
        assert.ok(pool.stats().copied.bytes_out <= 200_000)
        same(first.bytes, 0)
        let at = first.length
        first.release()
        while (at < before) {
          const frag = some(await connection.receive())
          same(frag.bytes, at)
          at += frag.length
          frag.release()
        }
      },
      { pages: 64 },
    ))
}
