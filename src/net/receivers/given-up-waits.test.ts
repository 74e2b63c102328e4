// Waits for memory that are given up, and memory that is gone.
import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import type { Connection } from '../../connection.ts'
import { createFrag } from '../../pool/create-frag.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { externalProvider } from '../../providers/external.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { resizable } from '../../testing/resizable.test.helper.ts'
import { PageSupply } from '../driver/page-supply.ts'
import { dry, rejection, send, ways, withEnds } from '../harness.test.helper.ts'
import { ChunkFrags } from './chunk-frags.ts'
import { pipeTo } from './pipe.ts'
import { receiveInto } from './receive-into.ts'

/** Receives until the pool is dry, and gives that wait up. The caller releases the frags. */
async function receiveUntilDry(
  { pool }: { pool: Connection['pool'] },
  connection: Connection,
): Promise<HostFrag[]> {
  const held: HostFrag[] = []
  for (;;) {
    const stop = new AbortController()
    const next = connection.receive({ signal: stop.signal })
    const frag = await Promise.race([next, dry(pool, next)])
    if (frag !== 'dry') {
      held.push(some(frag))
      continue
    }
    stop.abort()
    assert.equal(await rejection(next), 'NETMEM_ABORTED')
    return held
  }
}

for (const way of ways(['tcp4', 'tls'], ['posted'])) {
  test(
    `a wait that is given up does not keep the process, and loses nothing (${way.name})`,
    { skip: way.skip },
    () =>
      withEnds(
        way,
        async ({ connection, peer, pool }) => {
          void send(peer, 0, 3_000_000)
          const held = await receiveUntilDry({ pool }, connection)
          assert.equal(PageSupply.of(pool).waiting, 0)
          // Another receiver's wait continues when an iterator is left.
          const iterator = connection[Symbol.asyncIterator]()
          const next = connection.receive()
          await iterator.return?.()
          for (const frag of held) frag.release()
          some(await next).release()
          // Bytes for a destination need no page.
          const again = await receiveUntilDry({ pool }, connection)
          await receiveInto(connection, new Uint8Array(500_000))
          assert.equal(PageSupply.of(pool).waiting, 0)
          for (const frag of again) frag.release()
          connection.destroy()
        },
        { pages: 2 },
      ),
  )
}

test('a pipe gives back a frag whose memory is gone', async () => {
  const memory = new ArrayBuffer(2 * 65_536)
  const pool = createPool(externalProvider(memory, { pageSize: 65_536 }))
  async function* source(): AsyncGenerator<HostFrag> {
    const frag = createFrag(pool, some(pool.alloc()))
    structuredClone(memory, { transfer: [memory] })
    yield frag
  }
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() })
  assert.equal(await rejection(pipeTo(source(), sink)), 'NETMEM_DESTINATION_DETACHED')
  assert.equal(pool.out, 0)
  await pool.destroy()
})

test('chunks that find the memory of their page gone give the page back', async () => {
  const memory = new ArrayBuffer(2 * 65_536)
  const pool = createPool(externalProvider(memory, { pageSize: 65_536 }))
  structuredClone(memory, { transfer: [memory] })
  const frags = new ChunkFrags(pool)
  assert.throws(() => frags.take(new Uint8Array(40_000)), { code: 'NETMEM_DESTINATION_DETACHED' })
  assert.equal(pool.out, 0)
  frags.end()
  await pool.destroy()
})

const [tcp] = ways(['tcp4'], ['posted'])

test('memory that grows while it is written is not memory that is gone', () =>
  withEnds(some(tcp), async ({ connection, peer }) => {
    const memory = resizable(20_000_000, 20_000_001)
    const written = connection.write(new Uint8Array(memory))
    memory.resize(20_000_001)
    peer.resume()
    await written
    assert.equal(connection.state.kind, 'open')
  }))
