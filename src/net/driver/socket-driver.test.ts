import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import type { Connection } from '../../connection.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { hostProvider } from '../../providers/host.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import {
  driverOf,
  dry,
  endAll,
  pattern,
  receiveAll,
  rejection,
  same,
  send,
  until,
  ways,
  withEnds,
} from '../harness.test.helper.ts'
import { SocketDriver } from './socket-driver.ts'

const small = 16_384
const page = 65_536

/** Receives at least `bytes` bytes, up to the end of the last frag. Verifies them, and releases the frags. */
async function receive(connection: Connection, from: number, bytes: number): Promise<number> {
  let at = from
  while (at < from + bytes) {
    const frag = some(await connection.receive())
    same(frag.bytes, at)
    at += frag.length
    frag.release()
  }
  return at
}

for (const way of ways()) {
  test(
    `an idle connection holds no page, wherever its last read ended (${way.name})`,
    {
      skip: way.skip,
    },
    () =>
      withEnds(way, async ({ connection, peer, pool }) => {
        let at = 0
        const waiting = [
          1,
          small,
          page,
          small + page,
          2 * page,
          small + 2 * page,
          3 * small,
          page - 1,
        ]
        for (const bytes of waiting) {
          await send(peer, at, at + bytes)
          await receive(connection, at, bytes)
          at += bytes
          // A connection is idle with a receiver that waits, and without one.
          const frags = connection[Symbol.asyncIterator]()
          const next = frags.next()
          await until(() => pool.out === 0, `nothing is out after ${bytes} bytes`)
          await turns()
          assert.equal(pool.out, 0)
          await frags.return?.()
          await next
          await until(() => pool.out === 0, 'nothing is out without a waiting call')
        }
      }),
  )

  test(`a dry connection stops and continues (${way.name})`, { skip: way.skip }, () =>
    withEnds(
      way,
      async ({ connection, peer, pool }) => {
        const total = 5_000_000
        void send(peer, 0, total).then(() => peer.end())
        const held: HostFrag[] = []
        let at = 0
        let checked = 0
        let dries = 0
        const frags = connection[Symbol.asyncIterator]()
        for (let next = frags.next(); ; ) {
          const result = await Promise.race([next, dry(pool, next)])
          if (result !== 'dry') {
            if (result.done === true) break
            held.push(result.value)
            at += result.value.length
            next = frags.next()
            continue
          }
          dries++
          assert.equal(pool.available, 0, 'it stopped because it was dry')
          // The small buffer is all that is received without a page. TLS delivers somewhat more.
          assert.ok(pool.stats().copied.bytes_out <= 8 * small, 'memory is bounded')
          for (const frag of held.splice(0)) {
            same(frag.bytes, checked)
            checked += frag.length
            frag.release()
          }
        }
        for (const frag of held) {
          same(frag.bytes, checked)
          checked += frag.length
          frag.release()
        }
        assert.equal(at, total)
        assert.equal(checked, total)
        assert.ok(dries >= 5, `${dries} times dry`)
      },
      { pages: 8, pageSize: page },
    ),
  )

  test(`a dry connection that is not released can be ended (${way.name})`, {
    skip: way.skip,
  }, async () => {
    for (const how of ['destroy', 'close', 'abort', 'pool'] as const) {
      const controller = new AbortController()
      await withEnds(
        way,
        async ({ connection, peer, pool }) => {
          void send(peer, 0, 1_000_000)
          const held: HostFrag[] = []
          const received = (async () => {
            for await (const frag of connection) held.push(frag)
          })()
          const code = rejection(received)
          await until(() => pool.available === 0, 'the pool is dry')
          await turns()
          if (how === 'destroy') connection.destroy()
          else if (how === 'abort') controller.abort()
          else if (how === 'close') await connection.close()
          const destroyed = how === 'pool' ? pool.destroy() : undefined
          const codes = { abort: 'NETMEM_ABORTED', pool: 'NETMEM_POOL_DESTROYED' }
          assert.equal(await code, how in codes ? codes[how as 'pool'] : 'NETMEM_CONNECTION_CLOSED')
          let at = 0
          for (const frag of held) {
            same(frag.bytes, at)
            at += frag.length
            frag.release()
          }
          await destroyed
        },
        { pages: 2, pageSize: page, signal: controller.signal },
      )
    }
  })
}

for (const way of ways(['tcp4', 'unix'])) {
  test(`a page that a read left partly empty is filled by the next (${way.name})`, () =>
    withEnds(
      way,
      async ({ connection, peer, pool }) => {
        const held: HostFrag[] = []
        const size = 20_000
        for (let at = 0; at < 12 * size; ) {
          peer.write(pattern(at, size))
          for (const until = at + size; at < until; ) {
            const frag = some(await connection.receive())
            held.push(frag)
            at += frag.length
          }
        }
        // 240,000 bytes. Short reads among them are copies.
        assert.ok(pool.out <= 5, `${pool.out} pages are out`)
        let at = 0
        for (const frag of held) {
          same(frag.bytes, at)
          at += frag.length
        }
        for (const frag of held) frag.release()
      },
      { pageSize: page },
    ))

  test(`a message held in a hundred does not pin what it shared pages with (${way.name})`, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const count = 20_000
      const message = 512
      void send(peer, 0, count * message).then(() => peer.end())
      const held: [number, HostFrag][] = []
      let at = 0
      for await (const frag of connection) {
        // The messages that begin here and are whole, of which one in a hundred is kept.
        const first = Math.ceil(at / message)
        for (let n = first; (n + 1) * message <= at + frag.length; n++) {
          if (n % 100 === 0) held.push([n, frag.slice(n * message - at, (n + 1) * message - at)])
        }
        at += frag.length
        frag.release()
      }
      const live = held.length * message
      const pinned = pool.out * pool.pageSize + pool.stats().copied.bytes_out
      assert.ok(live > 50_000)
      assert.ok(pinned <= 1.2 * live, `${pinned} bytes pinned for ${live}`)
      for (const [n, frag] of held) {
        same(frag.bytes, n * message)
        frag.release()
      }
    }))
}

for (const smallBufferBytes of [2048, 16_384]) {
  for (const pageSize of [4096, 16_384, 1_048_576]) {
    test(`a small buffer of ${smallBufferBytes} bytes and pages of ${pageSize}`, async () => {
      for (const way of ways(['tcp4'])) {
        await withEnds(
          way,
          async ({ connection, peer, pool }) => {
            void send(peer, 0, 1_000_000).then(() => peer.end())
            assert.equal(await receiveAll(connection), 1_000_000)
            assert.equal(pool.out, 0)
          },
          { smallBufferBytes, pageSize, pages: 4 },
        )
      }
    })
  }
}

test('posting another buffer, which costs Node.js memory, is not done for ever', async () => {
  const pool = createPool(hostProvider({ pages: 4, pageSize: page }))
  const driver = new SocketDriver(pool, small, Number.POSITIVE_INFINITY, undefined)
  let reposts = 0
  const repost = (): boolean => ++reposts > 0
  const socket = new net.Socket()
  driver.start({ socket, movable: 'never', resume: () => {}, fd: () => -1, repost })
  const smallBuffer = driver.post()
  assert.equal(smallBuffer.byteLength, small)
  let posted = smallBuffer
  for (let at = 0; at < 2000 * small; at += small) {
    const received = driver.frags.receive()
    posted.set(pattern(at, small))
    assert.ok(driver.arrived(small))
    posted = driver.post()
    // The read that was the last for now, had a page been posted after it.
    if (posted !== smallBuffer) {
      while (driver.stillReading()) assert.equal(pool.out, 1)
      posted = smallBuffer
    }
    const frag = some(await received)
    same(frag.bytes, at)
    frag.release()
    assert.equal(pool.out, 0)
  }
  assert.equal(reposts, 1000)
  driver.end(undefined)
  await endAll(pool)
})

for (const way of ways()) {
  test(`shows what arrives, and makes frags of the rest (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const driver = driverOf(connection)
      let at = 0
      let limit = 1000
      let ended: unknown = 'not yet'
      const viewer = {
        view(bytes: Uint8Array): number {
          const taken = Math.min(bytes.byteLength, limit - at)
          same(bytes.subarray(0, taken), at)
          at += taken
          if (at === limit) driver.hide()
          return taken
        },
        viewEnded(error: Error | undefined) {
          ended = error
        },
      }
      driver.show(viewer)
      await assert.rejects(connection.receive(), { code: 'NETMEM_BUSY' })
      await send(peer, 0, 600)
      await until(() => at === 600, 'the first bytes are shown')
      await send(peer, 600, 5000)
      await until(() => at === 1000, 'all that is wanted is shown')
      await receive(connection, 1000, 4000)
      at = 5000
      // More than the small buffer, of which much is read ahead before the receiver looks.
      limit = 200_000
      const sending = send(peer, 5000, 300_000)
      at = await receive(connection, 5000, 20_000)
      driver.show(viewer)
      await until(() => at === limit, 'what was read ahead is shown, too')
      await receive(connection, limit, 100_000)
      await sending
      limit = Number.POSITIVE_INFINITY
      at = 300_000
      driver.show(viewer)
      peer.end()
      await until(() => ended !== 'not yet', 'it is told the end')
      assert.equal(ended, undefined)
      ended = 'not again'
      driver.show(viewer)
      assert.equal(ended, undefined, 'and at once when that is over')
      await until(() => pool.out === 0, 'nothing is out')
    }),
  )
}

test('a page taken back from TLS leaves the small buffer to a destination that came after the page', async () => {
  const pool = createPool(hostProvider({ pages: 4, pageSize: page }))
  const driver = new SocketDriver(pool, small, small, undefined)
  let posted: Uint8Array = new Uint8Array(0)
  const repost = (buffer: Uint8Array): boolean => {
    posted = buffer
    return true
  }
  const socket = new net.Socket()
  driver.start({ socket, movable: 'never', resume: () => {}, fd: () => -1, repost })
  const received = driver.frags.receive()
  driver.post().set(pattern(0, small))
  assert.ok(driver.arrived(small))
  assert.ok(driver.post().byteLength > small, 'a page is posted')
  some(await received).release()
  const view = new Uint8Array(1000)
  const filled = driver.fill(view)
  while (driver.stillReading());
  posted.set(pattern(small, 1000))
  driver.arrived(1000)
  assert.equal(await filled, 1000)
  same(view, small)
  driver.end(undefined)
  await endAll(pool)
})
