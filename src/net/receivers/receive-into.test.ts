import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Connection } from '../../connection.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { resizable } from '../../testing/resizable.test.helper.ts'
import {
  certificate,
  dry,
  noTls,
  pattern,
  rejection,
  same,
  send,
  until,
  ways,
  withEnds,
} from '../harness.test.helper.ts'
import { type ReceiveIntoOptions, receiveInto } from './receive-into.ts'

// Declares a global that the types of the library's language version do not have.
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer }
}

const total = 1_500_000

for (const way of ways()) {
  test(`exact pieces, one after the other (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer, pool }) => {
      void send(peer, 0, total).then(() => peer.end())
      let at = 0
      for (const size of [4, 0, 100_000, 16_384, 16_385, 1, 65_536, 1_000_000]) {
        const into = new Uint8Array(size)
        assert.equal(await receiveInto(connection, into), size)
        same(into, at)
        at += size
        const exact = way.reads === 'posted' && way.kind !== 'tls'
        if (exact) assert.equal(pool.out, 0, 'a destination needs no page')
      }
      // The rest is still there, and an early end of the stream is an error.
      const rest = total - at
      assert.equal(
        await rejection(receiveInto(connection, new Uint8Array(rest + 1))),
        'NETMEM_ENDED_EARLY',
      )
      assert.equal(
        await rejection(receiveInto(connection, new Uint8Array(1))),
        'NETMEM_ENDED_EARLY',
      )
      assert.equal(await receiveInto(connection, new Uint8Array(0)), 0)
    }),
  )

  test(`every kind of memory is a destination (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const bytes = 200_000
      const memories: readonly (Uint8Array | ArrayBufferLike)[] = [
        new ArrayBuffer(bytes),
        new SharedArrayBuffer(bytes),
        new WebAssembly.Memory({ initial: 4 }).buffer,
        new Uint8Array(new ArrayBuffer(bytes + 10), 7, bytes),
        new Uint8Array(new SharedArrayBuffer(bytes + 10), 7, bytes),
        Buffer.allocUnsafe(bytes),
        resizable(bytes, 2 * bytes),
      ]
      void send(peer, 0, memories.length * bytes)
      let at = 0
      for (const memory of memories) {
        const told: number[] = []
        const onProgress = (bytes: number) => void told.push(bytes)
        assert.equal(await receiveInto(connection, memory, { length: bytes, onProgress }), bytes)
        same(memory instanceof Uint8Array ? memory : new Uint8Array(memory, 0, bytes), at)
        assert.deepEqual(
          told,
          told.toSorted((a, b) => a - b),
        )
        assert.equal(told.at(-1), bytes)
        at += bytes
      }
    }),
  )
}

test('what is refused leaves the connection as it was', () =>
  withEnds({ kind: 'tcp4', side: 'connect', reads: 'posted' }, async ({ connection, peer }) => {
    const into = new Uint8Array(10)
    for (const options of [null, 4, { onProgress: 5 }, { signal: {} }, { length: '4' }]) {
      const refused = receiveInto(connection, into, options as unknown as ReceiveIntoOptions)
      assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
    }
    for (const none of [undefined, {}, peer]) {
      const refused = receiveInto(none as unknown as Connection, into)
      assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
    }
    const sent = send(peer, 0, 10)
    await receiveInto(connection, into)
    same(into, 0)
    await sent
  }))

test('nothing is read past the end', async () => {
  for (const way of ways(['tcp4', 'unix'], ['posted'])) {
    await withEnds(way, async ({ connection, peer, pool }) => {
      const [first, rest] = [300_000, 50_000]
      const sent = send(peer, 0, first + rest)
      const into = new Uint8Array(first)
      await receiveInto(connection, into)
      same(into, 0)
      // The rest fits the kernel's memory. Had anything been read, it would lie in a copy or a page.
      await sent
      assert.equal(pool.out, 0)
      assert.equal(pool.stats().copied.bytes, 0)
      await receiveInto(connection, into, { length: rest })
      same(into.subarray(0, rest), first)
    })
  }
})

test('TLS delivers more after the end, which is kept for the next call', {
  skip: noTls,
}, async () => {
  for (const way of ways(['tls'])) {
    await withEnds(way, async ({ connection, peer, pool }) => {
      const sent = send(peer, 0, 60_000)
      await receiveInto(connection, new Uint8Array(1))
      await sent
      let at = 1
      for (const size of [1, 20_000, 10_000, 29_998]) {
        const into = new Uint8Array(size)
        await receiveInto(connection, into)
        same(into, at)
        at += size
      }
      assert.equal(pool.out, 0)
    })
  }
})

test('a destination needs no memory of the pool, even where that is dry', async () => {
  for (const way of ways(['tcp4'])) {
    await withEnds(
      way,
      async ({ connection, peer, pool }) => {
        const sent = send(peer, 0, 500_000).then(() => peer.end())
        const held: HostFrag[] = []
        const frags = connection[Symbol.asyncIterator]()
        let at = 0
        for (;;) {
          const arriving = frags.next()
          const next = await Promise.race([arriving, dry(pool, arriving)])
          if (next === 'dry' || next.done === true) break
          held.push(next.value)
          at += next.value.length
        }
        assert.equal(pool.available, 0)
        await frags.return?.()
        const into = new Uint8Array(500_000 - at)
        await receiveInto(connection, into)
        same(into, at)
        for (const frag of held) frag.release()
        await sent
      },
      { pages: 2, pageSize: 32_768 },
    )
  }
})

const lengths: readonly [unknown, string][] = [
  [-1, 'NETMEM_OUT_OF_RANGE'],
  [0.5, 'NETMEM_OUT_OF_RANGE'],
  [2 ** 53, 'NETMEM_OUT_OF_RANGE'],
  [Number.NaN, 'NETMEM_OUT_OF_RANGE'],
  [Number.POSITIVE_INFINITY, 'NETMEM_OUT_OF_RANGE'],
  ['8', 'NETMEM_INVALID_ARGUMENT'],
  [8n, 'NETMEM_INVALID_ARGUMENT'],
  [9, 'NETMEM_DESTINATION_TOO_SMALL'],
  [2 ** 53 - 1, 'NETMEM_DESTINATION_TOO_SMALL'],
]

for (const way of ways(['tcp4', 'tls'])) {
  test(
    `what is no destination is refused and takes nothing (${way.name})`,
    { skip: way.skip },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        peer.write(pattern(0, 8))
        const into = new Uint8Array(8)
        for (const [length, code] of lengths) {
          const options = { length: length as number }
          assert.equal(await rejection(receiveInto(connection, into, options)), code, `${length}`)
        }
        for (const what of [undefined, null, {}, 'abc', new DataView(new ArrayBuffer(8)), []]) {
          const refused = receiveInto(connection, what as unknown as Uint8Array)
          assert.equal(await rejection(refused), 'NETMEM_INVALID_ARGUMENT')
        }
        const shrunk = resizable(100, 200)
        const beyond = new Uint8Array(shrunk, 50, 20)
        shrunk.resize(10)
        const transferred = new Uint8Array(8)
        structuredClone(transferred, { transfer: [transferred.buffer] })
        for (const gone of [beyond, transferred, transferred.buffer]) {
          for (const options of [{}, { length: 0 }, { length: 8 }]) {
            const refused = receiveInto(connection, gone, options)
            assert.equal(await rejection(refused), 'NETMEM_DESTINATION_DETACHED')
          }
        }
        assert.equal(await receiveInto(connection, into), 8)
        same(into, 0)
      }),
  )

  /** Sends half, takes the memory away, sends the rest. */
  const takeAway = (what: string, memory: () => ArrayBuffer, take: (memory: ArrayBuffer) => void) =>
    test(
      `a destination ${what} during the transfer is noticed (${way.name})`,
      { skip: way.skip },
      () =>
        withEnds(way, async ({ connection, peer }) => {
          const into = memory()
          let arrived = 0
          const onProgress = (bytes: number): void => {
            arrived = bytes
          }
          const received = rejection(receiveInto(connection, into, { onProgress }))
          await send(peer, 0, 300_000)
          await until(() => arrived === 300_000, 'half has arrived')
          take(into)
          await send(peer, 300_000, 600_000)
          assert.equal(await received, 'NETMEM_DESTINATION_DETACHED')
          await connection.closed
          assert.equal(await rejection(connection.receive()), 'NETMEM_DESTINATION_DETACHED')
          assert.equal(connection.state.kind, 'failed')
        }),
    )
  takeAway(
    'that was transferred',
    () => new ArrayBuffer(600_000),
    (memory) => structuredClone(memory, { transfer: [memory] }),
  )
  takeAway(
    'that was shrunk',
    () => resizable(600_000, 1_200_000),
    (memory) => (memory as ReturnType<typeof resizable>).resize(0),
  )

  test(
    `a destination that grows during the transfer stays as long (${way.name})`,
    { skip: way.skip },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        const memory = resizable(600_000, 1_200_000)
        const received = receiveInto(connection, memory)
        await send(peer, 0, 300_000)
        memory.resize(700_000)
        await send(peer, 300_000, 700_000)
        assert.equal(await received, 600_000)
        same(new Uint8Array(memory, 0, 600_000), 0)
      }),
  )

  test(`onProgress that throws fails the transfer (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const error = new Error('no more of this')
      const onProgress = (): void => {
        throw error
      }
      const received = receiveInto(connection, new Uint8Array(500_000), { onProgress })
      void send(peer, 0, 500_000)
      await assert.rejects(received, error)
      await connection.closed
      assert.equal(await rejection(connection.receive()), 'NETMEM_ABORTED')
    }),
  )

  test(`onProgress may destroy the connection (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      const onProgress = (): void => connection.destroy()
      const received = receiveInto(connection, new Uint8Array(500_000), { onProgress })
      void send(peer, 0, 500_000)
      assert.equal(await rejection(received), 'NETMEM_CONNECTION_CLOSED')
    }),
  )

  test(
    `a signal ends a transfer, and with it the connection (${way.name})`,
    { skip: way.skip },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        const aborted = AbortSignal.abort(new Error('before'))
        const into = new Uint8Array(500_000)
        const early = receiveInto(connection, into, { signal: aborted })
        assert.equal(await rejection(early), 'NETMEM_ABORTED')
        assert.equal(connection.state.kind, 'open')
        const controller = new AbortController()
        const { signal } = controller
        const half = new Promise<void>((resolve) => {
          const onProgress = (bytes: number) => bytes === 250_000 && resolve()
          const received = receiveInto(connection, into, { signal, onProgress })
          void assertAborted(received, connection).then(() => peer.destroy())
        })
        const gone = once(peer, 'close')
        void send(peer, 0, 250_000)
        await half
        controller.abort(new Error('enough'))
        await gone
      }),
  )
}

async function assertAborted(received: Promise<number>, connection: Connection): Promise<void> {
  const error: unknown = await received.then(
    () => undefined,
    (reason) => reason,
  )
  assert.ok(error instanceof Error)
  assert.equal(error.name, 'AbortError')
  assert.equal((error.cause as Error).message, 'enough')
  await connection.closed
  assert.equal(connection.state.kind, 'failed')
  assert.equal(await rejection(connection.receive()), 'NETMEM_ABORTED')
}

test('the certificate for these tests', { skip: noTls }, () => {
  assert.ok(some(certificate).key.includes('PRIVATE KEY'))
})

for (const way of ways()) {
  test(
    `calls after a destination that moved repeat its error (${way.name})`,
    {
      skip: way.skip,
    },
    () =>
      withEnds(way, async ({ connection, peer }) => {
        const view = new Uint8Array(1_000_000)
        const failed = rejection(
          receiveInto(connection, view, {
            onProgress: () => void structuredClone(view.buffer, { transfer: [view.buffer] }),
          }),
        )
        void send(peer, 0, 2_000_000)
        assert.equal(await failed, 'NETMEM_DESTINATION_DETACHED')
        const { state } = connection
        assert.ok(state.kind === 'failed' && Reflect.get(state.error, 'code') === (await failed))
        for (const call of [
          connection.receive(),
          receiveInto(connection, new Uint8Array(1)),
          connection.write('x'),
          connection.end(),
        ]) {
          assert.equal(await rejection(call), 'NETMEM_DESTINATION_DETACHED')
        }
      }),
  )
}
