import assert from 'node:assert/strict'
import { createWriteStream, readFileSync } from 'node:fs'
import { PassThrough, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createGunzip, createGzip } from 'node:zlib'
import { some } from '../../testing/pools.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { freshPath, rejection, same, send, until, ways, withEnds } from '../harness.test.helper.ts'
import { pipeTo } from './pipe.ts'

const total = 2_000_000

for (const way of ways()) {
  test(`a file gets all that arrives (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      void send(peer, 0, total).then(() => peer.end())
      const path = freshPath()
      assert.equal(await connection.pipeTo(createWriteStream(path)), total)
      const written = readFileSync(path)
      assert.equal(written.byteLength, total)
      same(written, 0)
      assert.equal(pool.out, 0)
    }),
  )

  test(`streams that keep memory get copies (${way.name})`, { skip: way.skip }, () =>
    withEnds(
      way,
      async ({ connection, peer }) => {
        void send(peer, 0, total).then(() => peer.end())
        // The stream holds everything until the pool's few pages have been used many times.
        const keeping = new PassThrough({ highWaterMark: 2 * total })
        assert.equal(await pipeTo(connection, keeping), total)
        const kept = await buffer(keeping)
        assert.equal(kept.byteLength, total)
        same(kept, 0)
      },
      { pages: 4 },
    ),
  )
}

for (const way of ways(['tcp4', 'tls'], ['posted'])) {
  test(`through zlib and back (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      void send(peer, 0, total).then(() => peer.end())
      const gzip = createGzip({ level: 1 })
      const result = buffer(gzip.pipe(createGunzip()))
      assert.equal(await pipeTo(connection, gzip), total)
      same(await result, 0)
    }),
  )

  test(`a web stream (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      void send(peer, 0, total).then(() => peer.end())
      const chunks: Uint8Array[] = []
      const stream = new WritableStream<Uint8Array>({ write: (chunk) => void chunks.push(chunk) })
      assert.equal(await pipeTo(connection, stream), total)
      same(Buffer.concat(chunks), 0)
      assert.equal(stream.locked, false)
    }),
  )

  test(`a slow stream holds the sender up (${way.name})`, { skip: way.skip }, () =>
    withEnds(
      way,
      async ({ connection, peer, pool }) => {
        void send(peer, 0, total).then(() => peer.end())
        let at = 0
        let most = 0
        const slow = new Writable({
          write(chunk: Buffer, _encoding, done) {
            most = Math.max(most, pool.out)
            // The memory is the stream's until it says so.
            void turns().then(() => {
              same(chunk, at)
              at += chunk.byteLength
              done()
            })
          },
        })
        assert.equal(await pipeTo(connection, slow), total)
        assert.equal(at, total)
        assert.ok(most <= 4, `${most} pages were out`)
      },
      { pages: 8 },
    ),
  )
}

for (const way of ways(['tcp4'])) {
  test(`borrow passes the pool's own memory (${way.name})`, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      void send(peer, 0, total).then(() => peer.end())
      const memory = new Set<ArrayBufferLike>()
      let at = 0
      const duplex = new PassThrough({
        transform(chunk: Buffer, _encoding, done) {
          memory.add(chunk.buffer)
          same(chunk, at)
          at += chunk.byteLength
          done()
        },
      })
      assert.equal(await pipeTo(connection, duplex, { borrow: true }), total)
      // Pages lie in one buffer. The others are copies of short reads.
      const page = some(pool.alloc())
      assert.ok(memory.has(pool.bytes(page).buffer))
      pool.put(page)
    }))

  test(`preventClose leaves the destination as it was (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      void send(peer, 0, 100_000).then(() => peer.end())
      const stream = new PassThrough({ highWaterMark: 1_000_000 })
      const before = ['error', 'close', 'finish'].map((event) => stream.listenerCount(event))
      assert.equal(await pipeTo(connection, stream, { preventClose: true }), 100_000)
      assert.deepEqual(
        ['error', 'close', 'finish'].map((event) => stream.listenerCount(event)),
        before,
      )
      stream.end('the end')
      assert.equal((await buffer(stream)).subarray(100_000).toString(), 'the end')

      const web = new WritableStream<Uint8Array>()
      assert.equal(await pipeTo(connection, web, { preventClose: true }), 0)
      await web.getWriter().close()
    }))

  test(`a destination that fails ends the pipe, not the process (${way.name})`, async () => {
    const error = new Error('no space left')
    const failing: (() => Writable | WritableStream<Uint8Array>)[] = [
      () => new Writable({ write: (_chunk, _encoding, done) => done(error) }),
      () => new Writable({ write: (_chunk, _encoding, done) => setImmediate(done, error) }),
      () => new Writable({ write: () => assert.fail(error) }),
      () => new Writable({ final: (done) => done(error), write: (_c, _e, done) => done() }),
      () => new WritableStream({ write: () => Promise.reject(error) }),
      () => new WritableStream({ close: () => Promise.reject(error) }),
      () => createWriteStream('/nowhere/at/all'),
      () => new Writable().destroy(),
      () => new Writable().destroy(error).on('error', () => {}),
      () => new Writable({ write: (_c, _e, done) => done() }).end(),
    ]
    for (const make of failing) {
      await withEnds(way, async ({ connection, peer, pool }) => {
        void send(peer, 0, 200_000).then(() => peer.end())
        await assert.rejects(pipeTo(connection, make()))
        await until(() => pool.out <= 2, 'what was being written is back')
      })
    }
  })

  test(`a destination that fails while nothing arrives (${way.name})`, async () => {
    const error = new Error('gone')
    const breaking: (() => [Writable | WritableStream<Uint8Array>, () => void])[] = [
      () => {
        const stream = new Writable()
        return [stream, () => stream.destroy()]
      },
      () => {
        const stream = new Writable()
        return [stream, () => stream.destroy(error)]
      },
      () => {
        let control: WritableStreamDefaultController | undefined
        const start = (controller: WritableStreamDefaultController): void => {
          control = controller
        }
        return [new WritableStream({ start }), () => control?.error(error)]
      },
    ]
    for (const make of breaking) {
      await withEnds(way, async ({ connection, peer }) => {
        const [stream, fail] = make()
        const piped = assert.rejects(pipeTo(connection, stream))
        setImmediate(fail)
        await piped
        // The source is left as it is, and can be received from.
        peer.write('abc')
        some(await connection.receive()).release()
      })
    }
  })

  test(`a source that breaks off destroys the destination (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const stream = new PassThrough({ highWaterMark: 1_000_000 }).on('error', () => {})
      const piped = rejection(pipeTo(connection, stream))
      await send(peer, 0, 100_000)
      await until(() => stream.readableLength === 100_000, 'all has arrived')
      peer.resetAndDestroy()
      assert.equal(await piped, 'NETMEM_CONNECTION_RESET')
      assert.ok(stream.destroyed)
      assert.equal(
        stream.errored && 'code' in stream.errored && stream.errored.code,
        'NETMEM_CONNECTION_RESET',
      )
    }))

  test(`a signal ends the pipe while it waits for data (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      const controller = new AbortController()
      const { signal } = controller
      const stream = new Writable()
      const piped = rejection(pipeTo(connection, stream, { signal }))
      setImmediate(() => controller.abort())
      assert.equal(await piped, 'NETMEM_ABORTED')
      assert.ok(stream.destroyed)
      const again = rejection(pipeTo(connection, new PassThrough(), { signal }))
      assert.equal(await again, 'NETMEM_ABORTED')
      peer.write('abc')
      some(await connection.receive()).release()
    }))

  test(`memory that is being written stays out although the pipe has ended (${way.name})`, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      const controller = new AbortController()
      const { signal } = controller
      let finish: ((error?: Error | null) => void) | undefined
      let held: Uint8Array | undefined
      const hanging = new Writable({
        write(chunk: Buffer, _encoding, done) {
          held = chunk
          finish = done
        },
        destroy(error, done) {
          // Closes as a file's stream does, when the last write is done.
          const written = some(finish)
          finish = () => {
            written(error)
            done(error)
          }
        },
      })
      const piped = rejection(pipeTo(connection, hanging, { signal }))
      await send(peer, 0, 100_000)
      await until(() => held !== undefined, 'it writes')
      controller.abort()
      assert.equal(await piped, 'NETMEM_ABORTED')
      connection.destroy()
      assert.equal(pool.out, 1)
      same(some(held), 0)
      some(finish)()
      await until(() => pool.out === 0, 'it is back')
    }))

  test(`what is no destination is refused (${way.name})`, () =>
    withEnds(way, async ({ connection }) => {
      for (const what of [undefined, null, {}, 'file', 1]) {
        const refused = pipeTo(connection, what as unknown as Writable)
        assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
      }
      for (const source of [undefined, null, {}, 1]) {
        const refused = pipeTo(source as unknown as typeof connection, new PassThrough())
        assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
      }
      const options = { signal: {} as AbortSignal }
      const refused = pipeTo(connection, new PassThrough(), options)
      assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
      const locked = new WritableStream()
      locked.getWriter()
      assert.equal(await rejection(pipeTo(connection, locked)), 'NETMEM_BUSY')
    }))
}
