import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import type { Connection } from '../connection.ts'
import { createPool } from '../pool/create-pool.ts'
import type { HostFrag } from '../pool/frag.ts'
import { hostProvider } from '../providers/host.ts'
import { some } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { connect } from './connect.ts'
import {
  certificate,
  type Ends,
  endAll,
  listening,
  noTls,
  pattern,
  type Reads,
  receiveAll,
  rejection,
  same,
  send,
  serve,
  until,
  ways,
  withEnds,
} from './harness.test.helper.ts'
import { listen } from './listen.ts'
import { receiveInto } from './receivers/receive-into.ts'
import { type SendJob, startOf } from './sender.test.worker.ts'

for (const reads of ['posted', 'data'] as const) {
  test(`a sender that is killed in mid-stream (${reads})`, async () => {
    for (const how of ['frags', 'into'] as const) {
      const pool = createPool(hostProvider({ pages: 8, pageSize: 65_536 }))
      const listener = await listen({ pool, port: 0, reads })
      const sender = fork(new URL('sender.test.worker.js', import.meta.url))
      const job: SendJob = { ...listener.address, connections: 1, bytes: 1e12 }
      sender.send(job)
      const connection = some(await listener.accept())
      await receiveInto(connection, new Uint8Array(4))
      let at = startOf(0)
      while (at < 5_000_000) {
        const frag = some(await connection.receive())
        same(frag.bytes, at)
        at += frag.length
        frag.release()
      }
      sender.kill('SIGKILL')
      // The kernel of a killed sender ends the stream in order: only the length shows that bytes are missing.
      if (how === 'into') {
        const code = await rejection(receiveInto(connection, new Uint8Array(100_000_000)))
        assert.equal(code, 'NETMEM_ENDED_EARLY')
      } else {
        assert.ok((await receiveAll(connection, at)) >= at)
        assert.equal(connection.state.kind, 'ended')
      }
      await connection.close()
      await listener.close()
      await endAll(pool)
    }
  })
}

/** A reset follows these, which fill the small buffer, a page, a record of TLS, or do not. */
const lengths = [100, 16_384, 65_536, 81_920, 200_000]

/** Receives all that is sent, then the reset, and nothing is out of its place. */
async function endsWithReset(
  { connection, peer }: Pick<Ends, 'connection' | 'peer'>,
  bytes: number,
  reset: () => void,
): Promise<void> {
  const held: HostFrag[] = []
  let at = 0
  const result = (async () => {
    for await (const frag of connection) {
      held.push(frag)
      at += frag.length
      if (at === bytes) reset()
    }
  })()
  const code = rejection(result)
  await send(peer, 0, bytes)
  assert.equal(await code, 'NETMEM_CONNECTION_RESET')
  assert.equal(at, bytes)
  assert.equal(connection.state.kind, 'failed')
  assert.equal(await rejection(connection.receive()), 'NETMEM_CONNECTION_RESET')
  assert.equal(await rejection(connection.write('x')), 'NETMEM_CONNECTION_RESET')
  at = 0
  for (const frag of held) {
    same(frag.bytes, at)
    at += frag.length
    frag.release()
  }
}

for (const way of ways(['tcp4', 'tcp6'])) {
  test(`a reset comes after all that arrived, and is no end (${way.name})`, {
    skip: way.skip,
  }, async () => {
    for (const bytes of lengths) {
      await withEnds(way, (ends) => endsWithReset(ends, bytes, () => ends.peer.resetAndDestroy()))
    }
  })

  test(`a reset without a pending call (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      await send(peer, 0, 1000)
      peer.resetAndDestroy()
      await once(peer, 'close')
      const into = new Uint8Array(1001)
      assert.equal(await rejection(receiveInto(connection, into)), 'NETMEM_CONNECTION_RESET')
      same(into.subarray(0, 1000), 0)
    }),
  )
}

for (const way of ways(['tcp4'])) {
  test(`a write that a reset meets says so, and so does the state (${way.name})`, () =>
    withEnds(way, async ({ connection, peer }) => {
      peer.resetAndDestroy()
      await once(peer, 'close')
      const states: string[] = []
      const writes = async (): Promise<void> => {
        while (true) await connection.write('x')
      }
      const failed = writes().catch((error: Error) => {
        states.push(connection.state.kind)
        throw error
      })
      assert.equal(await rejection(failed), 'NETMEM_CONNECTION_RESET')
      assert.deepEqual(states, ['failed'])
    }))
}

/** Faults below a TLS connection, towards netmem's end. */
interface Wire {
  inject(bytes: Uint8Array): void
  reset(): void
}

/** A TLS connection whose bytes pass through here, and can be tampered with. */
async function withTamperedTls(
  side: 'client' | 'server',
  reads: Reads,
  body: (ends: Pick<Ends, 'connection' | 'peer'>, wire: Wire) => Promise<void>,
): Promise<void> {
  const pool = createPool(hostProvider({ pages: 8, pageSize: 65_536 }))
  const { key, cert } = some(certificate)
  const inner = side === 'client' ? serve('tls') : undefined
  const listener =
    side === 'server' ? await listen({ pool, port: 0, reads, tls: { key, cert } }) : undefined
  const where = inner ? await listening(inner, 'tls') : some(listener).address
  let socket: net.Socket | undefined
  const proxy = net.createServer((front) => {
    const back = net.connect(some(where.port), '127.0.0.1')
    front.pipe(back).pipe(front)
    for (const socket of [front, back]) socket.on('error', () => {})
    socket = side === 'client' ? front : back
  })
  const { port } = await listening(proxy, 'tcp4')
  let connection: Connection
  let peer: net.Socket
  if (inner !== undefined) {
    const accepted = once(inner, 'secureConnection')
    connection = await connect({
      pool,
      host: '127.0.0.1',
      port: some(port),
      reads,
      tls: { ca: cert },
    })
    peer = ((await accepted) as [net.Socket])[0]
  } else {
    peer = tls.connect({ host: '127.0.0.1', port: some(port), ca: cert })
    connection = some(await some(listener).accept())
  }
  peer.on('error', () => {})
  const wire: Wire = {
    inject: (bytes) => void some(socket).write(bytes),
    reset: () => void some(socket).resetAndDestroy(),
  }
  await body({ connection, peer }, wire)
  connection.destroy()
  peer.destroy()
  await connection.closed
  inner?.close()
  await listener?.close()
  proxy.close()
  await endAll(pool)
}

for (const reads of ['posted', 'data'] as const) {
  for (const side of ['client', 'server'] as const) {
    test(`a reset below TLS is no end (${side}, ${reads})`, { skip: noTls }, async () => {
      for (const bytes of lengths) {
        await withTamperedTls(side, reads, (ends, { reset }) => endsWithReset(ends, bytes, reset))
      }
    })

    test(`a bad TLS record is an error with a code (${side}, ${reads})`, { skip: noTls }, () =>
      withTamperedTls(side, reads, async ({ connection, peer }, { inject }) => {
        await send(peer, 0, 100_000)
        let at = 0
        while (at < 100_000) {
          const frag = some(await connection.receive())
          same(frag.bytes, at)
          at += frag.length
          frag.release()
        }
        const waiting = rejection(connection.receive())
        inject(Buffer.concat([Buffer.from('1703030020', 'hex'), pattern(0, 32)]))
        assert.equal(await waiting, 'NETMEM_TLS')
        await connection.closed
        assert.equal(connection.state.kind, 'failed')
        assert.equal(await rejection(connection.write('x')), 'NETMEM_TLS')
        assert.equal(await rejection(connection.receive()), 'NETMEM_TLS')
      }),
    )

    test(`a bad TLS record without a pending call (${side}, ${reads})`, { skip: noTls }, () =>
      withTamperedTls(side, reads, async ({ connection, peer }, { inject }) => {
        await send(peer, 0, 5000)
        await receiveInto(connection, new Uint8Array(100))
        inject(Buffer.from('junk that is no record'))
        const rest = new Uint8Array(4900)
        // The receiver gets the data before the junk or not, as the reads were cut.
        const code = await receiveInto(connection, rest).then(() => rejection(connection.receive()))
        assert.equal(code, 'NETMEM_TLS')
      }),
    )
  }
}

type Step = (ends: {
  connection: Connection
  held: HostFrag[]
  destroyed: Promise<void>[]
}) => unknown
const steps: Record<string, Step> = {
  close: ({ connection }) => connection.close(),
  destroy: ({ connection }) => connection.destroy(),
  pool: ({ connection, destroyed }) => destroyed.push(connection.pool.destroy()),
  release: ({ held }) => held.splice(0).map((frag) => frag.release()),
  wait: () => turns(),
}

function orders(of: readonly string[]): string[][] {
  if (of.length < 2) return [[...of]]
  return of.flatMap((first, at) => orders(of.toSpliced(at, 1)).map((rest) => [first, ...rest]))
}

for (const way of ways(['tcp4', 'tls'])) {
  test(`closing, ending the pool, releasing, in every order (${way.name})`, {
    skip: way.skip,
  }, async () => {
    for (const order of [
      ...orders(['close', 'pool', 'release', 'wait']),
      ...orders(['destroy', 'pool', 'release', 'wait']),
    ]) {
      const pool = createPool(hostProvider({ pages: 6, pageSize: 16_384 }))
      await withEnds(
        way,
        async ({ connection, peer }) => {
          peer.on('end', () => peer.end())
          void send(peer, 0, 1_000_000)
          const held: HostFrag[] = []
          const codes = (async () => {
            for await (const frag of connection) held.push(frag)
          })().catch((error: { code: string }) => error.code)
          await until(() => held.length >= 4, 'some frags are held')
          const copies = held.map((frag) => new Uint8Array(frag.bytes))
          const destroyed: Promise<void>[] = []
          const waits = order.map(
            async (step) => await some(steps[step])({ connection, held, destroyed }),
          )
          // Frags stay valid until they are released, also after the end of their connection.
          for (const [at, frag] of held.entries()) {
            if (copies[at] !== undefined) assert.deepEqual(frag.bytes, copies[at])
          }
          await Promise.all(waits)
          assert.ok(
            ['NETMEM_CONNECTION_CLOSED', 'NETMEM_POOL_DESTROYED', undefined].includes(
              (await codes) as string,
            ),
          )
          for (const frag of held) frag.release()
          await Promise.all(destroyed)
          assert.equal(pool.inflight, 0)
        },
        { pool, keepPool: true },
      )
      await endAll(pool)
    }
  })
}
