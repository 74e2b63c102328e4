import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import type { Connection } from '../connection.ts'
import { permutations } from '../testing/permutations.test.helper.ts'
import { some } from '../testing/pools.test.helper.ts'
import { settled, turns } from '../testing/waiting.test.helper.ts'
import {
  type Ends,
  pattern,
  readAll,
  receiveAll,
  rejection,
  send,
  until,
  ways,
  withEnds,
} from './harness.test.helper.ts'

const total = 3_000_000

/** Reads a socket of Node.js to its end, verifies it, and ends the other direction. */
async function drain(peer: net.Socket): Promise<number> {
  const bytes = await readAll(peer)
  peer.end()
  return bytes
}

async function writeAll(connection: Connection, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += 100_000) await connection.write(pattern(at, 100_000))
}

for (const way of ways()) {
  const { name, skip } = way

  test(`what is written arrives, whole and in order (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const drained = drain(peer)
      await writeAll(connection, total)
      await connection.end()
      assert.equal(await drained, total)
      assert.equal(connection.state.kind, 'open')
    }),
  )

  test(`one side ends, the other still sends (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      // The connection's own side ends first, and still receives.
      const ended = once(peer.resume(), 'end')
      await connection.end()
      await ended
      const sent = send(peer, 0, total).then(() => peer.end())
      assert.equal(await receiveAll(connection), total)
      await sent
      await connection.closed
      assert.equal(connection.state.kind, 'closed')
    }),
  )

  test(`the peer ends, and can still be written to (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const sent = send(peer, 0, total).then(() => peer.end())
      assert.equal(await receiveAll(connection), total)
      await sent
      assert.equal(connection.state.kind, 'ended')
      const drained = drain(peer)
      await writeAll(connection, total)
      await connection.close()
      assert.equal(await drained, total)
      assert.equal(connection.state.kind, 'closed')
      assert.equal(await connection.receive(), undefined)
    }),
  )

  test(`where it is, and to whom (${name})`, { skip }, () =>
    withEnds(
      way,
      async ({ connection, peer }) => {
        peer.resume().once('end', () => peer.end())
        const { localAddress, remoteAddress } = connection
        if (way.kind === 'unix') {
          const path = way.side === 'connect' ? remoteAddress : localAddress
          assert.match(path.host, /netmem-net-/)
          assert.deepEqual([localAddress.port, remoteAddress.port], [0, 0])
        } else {
          const host = way.kind === 'tcp6' ? '::1' : '127.0.0.1'
          assert.deepEqual(localAddress, { host, port: peer.remotePort })
          assert.deepEqual(remoteAddress, { host, port: peer.localPort })
        }
        assert.equal(connection.tls === undefined, way.kind !== 'tls')
        if (connection.tls !== undefined) {
          assert.equal(connection.tls.protocol, 'TLSv1.3')
          assert.match(connection.tls.cipher, /^TLS_/)
          assert.equal(connection.tls.authorized, way.side === 'connect')
          const { subject } = connection.tls.peerCertificate
          assert.equal(subject?.CN, way.side === 'connect' ? 'localhost' : undefined)
        }
        assert.equal(connection.ref().unref().ref(), connection)
        await connection.close()
        // A closed connection still knows its addresses and its TLS session.
        assert.deepEqual(connection.localAddress, localAddress)
        assert.equal(connection.tls?.protocol, way.kind === 'tls' ? 'TLSv1.3' : undefined)
      },
      { noDelay: false, keepAliveMs: 1 },
    ),
  )

  test(`both directions at once (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const drained = drain(peer)
      const sent = send(peer, 0, total).then(() => peer.end())
      const written = writeAll(connection, total).then(() => connection.end())
      assert.equal(await receiveAll(connection), total)
      assert.equal(await drained, total)
      await Promise.all([sent, written])
    }),
  )
}

for (const way of ways(['tcp4', 'tls'])) {
  const { name, skip } = way

  test(`write() waits for a peer that does not read (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      let written = 0
      const writing = (async () => {
        for (; written < 20_000_000; written += 100_000)
          await connection.write(pattern(written, 100_000))
      })()
      await settled(() => written)
      assert.ok(written < 20_000_000)
      const drained = drain(peer)
      await writing
      await connection.close()
      assert.equal(await drained, 20_000_000)
    }),
  )

  test(`ending, closing and destroying, in every order and twice (${name})`, { skip }, async () => {
    const steps = {
      end: (connection: Connection) => connection.end().catch(() => {}),
      close: (connection: Connection) => connection.close(),
      destroy: (connection: Connection) => connection.destroy(),
    }
    for (const order of permutations(Object.keys(steps) as (keyof typeof steps)[])) {
      await withEnds(way, async ({ connection, peer, pool }) => {
        void send(peer, 0, 500_000)
        peer.on('data', () => {})
        some(await connection.receive()).release()
        const done = order.flatMap((step) => [steps[step](connection), steps[step](connection)])
        await Promise.all(done)
        await connection.closed
        assert.equal(connection.state.kind, 'closed')
        await until(() => pool.out === 0, 'bytes that were not received are back')
        assert.equal(await rejection(connection.receive()), 'NETMEM_CONNECTION_CLOSED')
        assert.equal(await rejection(connection.write('x')), 'NETMEM_CONNECTION_CLOSED')
      })
    }
  })

  test(`close() sends what was written (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const written = [0, 1_000_000, 2_000_000].map((at) =>
        connection.write(pattern(at, 1_000_000)),
      )
      const ended = connection.end()
      const closed = connection.close()
      await turns()
      assert.equal(await drain(peer), total)
      await Promise.all([...written, ended, closed])
    }),
  )

  test(`a peer that never reads cannot keep close() for ever (${name})`, { skip }, async () => {
    for (const how of ['destroy', 'idle'] as const) {
      const options = how === 'idle' ? { idleTimeoutMs: 50 } : {}
      await withEnds(
        way,
        async ({ connection }) => {
          const written = rejection(connection.write(new Uint8Array(30_000_000)))
          const closed = connection.close()
          if (how === 'destroy') setImmediate(() => connection.destroy())
          await closed
          const code = how === 'destroy' ? 'NETMEM_CONNECTION_CLOSED' : 'NETMEM_TIMEOUT'
          assert.equal(await written, code)
        },
        options,
      )
    }
  })

  test(`waiting ends with the reason (${name})`, { skip }, async () => {
    const reason = new Error('we have had enough')
    const ways: Record<string, (ends: Ends) => unknown> = {
      [reason.message]: ({ connection }) => connection.destroy(reason),
      'The connection was closed on this side.': ({ connection }) => connection.close(),
    }
    for (const [message, act] of Object.entries(ways)) {
      await withEnds(way, async (ends) => {
        const waiting = ends.connection.receive()
        const failed = assert.rejects(waiting, (error: Error) => error.message === message)
        act(ends)
        await failed
        await ends.connection.closed
        await assert.rejects(ends.connection.receive(), { message })
        await assert.rejects(ends.connection.write('x'), { message })
      })
    }
  })

  test(`a signal, before and while data is waited for (${name})`, { skip }, async () => {
    const controller = new AbortController()
    const cause = new Error('stop')
    await withEnds(
      way,
      async ({ connection }) => {
        const waiting = connection.receive()
        setImmediate(() => controller.abort(cause))
        await assert.rejects(waiting, { code: 'NETMEM_ABORTED', name: 'AbortError', cause })
        const { state } = connection
        assert.ok(state.kind === 'failed' && 'code' in state.error)
        assert.equal(state.error.code, 'NETMEM_ABORTED')
      },
      { signal: controller.signal },
    )
  })

  test(`a reason that is no error becomes the cause of one (${name})`, { skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      peer.on('error', () => {})
      Reflect.apply(connection.destroy, connection, ['enough'])
      const { state } = connection
      assert.ok(state.kind === 'failed' && state.error instanceof Error)
      assert.deepEqual(
        [Reflect.get(state.error, 'code'), state.error.cause],
        ['NETMEM_ABORTED', 'enough'],
      )
      assert.equal(await rejection(connection.receive()), 'NETMEM_ABORTED')
    }),
  )

  test(`a signal releases bytes that were not received (${name})`, { skip }, async () => {
    const controller = new AbortController()
    await withEnds(
      way,
      async ({ connection, peer, pool }) => {
        void send(peer, 0, 1_000_000)
        some(await connection.receive()).release()
        await until(() => pool.out > 0, 'it has read ahead')
        controller.abort()
        await connection.closed
        assert.equal(pool.out, 0)
      },
      { signal: controller.signal },
    )
  })

  test(`a connection on which nothing moves times out (${name})`, { skip }, () =>
    withEnds(
      way,
      async ({ connection, peer }) => {
        // Timers of one length fire in the order in which they were last set.
        const over: string[] = []
        const before = new net.Socket().setTimeout(1_000, () => over.push('set before it moved'))
        peer.write('x')
        some(await connection.receive()).release()
        assert.equal(await rejection(connection.receive()), 'NETMEM_TIMEOUT')
        over.push('the connection')
        assert.deepEqual(over, ['set before it moved', 'the connection'])
        before.destroy()
      },
      { idleTimeoutMs: 1_000 },
    ),
  )
}

test('writing after the end, and what cannot be written', async () => {
  for (const way of ways(['tcp4'])) {
    await withEnds(way, async ({ connection, peer }) => {
      const odd = [1, undefined, null, {}, [1], new ArrayBuffer(4)]
      for (const bytes of odd) {
        const refused = connection.write(bytes as unknown as string)
        assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
      }
      await connection.write('')
      await connection.write(new Uint8Array(new SharedArrayBuffer(3)))
      await Promise.all([connection.end(), connection.end()])
      assert.equal(await rejection(connection.write('x')), 'NETMEM_CONNECTION_CLOSED')
      // The ended connection still receives.
      peer.end(pattern(0, 10))
      assert.equal(await receiveAll(connection), 10)
    })
  }
})

test('an unreferenced connection does not keep the process alive', async () => {
  const program = `
    import net from 'node:net'
    import { createPool, hostProvider } from '${new URL('../index.js', import.meta.url)}'
    import { connect, listen } from '${new URL('index.js', import.meta.url)}'
    const pool = createPool(hostProvider({ pages: 2 }))
    const listener = (await listen({ pool, port: 0 })).unref()
    const peer = net.connect(listener.address.port, '127.0.0.1').unref()
    const accepted = (await listener.accept()).unref()
    const connected = (await connect({ pool, host: '127.0.0.1', port: listener.address.port })).unref()
    ;[accepted, connected].map((connection) => connection.receive())
    if (process.argv[1] === 'ref') connected.ref()
    // The timer keeps no process alive: it shows that something else has.
    setTimeout(() => process.exit(7), process.argv[1] === 'ref' ? 100 : 60_000).unref()
  `
  for (const [argument, expected] of [
    ['unref', 0],
    ['ref', 7],
  ] as const) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, argument], {
      stdio: 'inherit',
    })
    const [code] = await once(child, 'exit')
    assert.equal(code, expected, argument)
  }
})
