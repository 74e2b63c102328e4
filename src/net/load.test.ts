import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { test } from 'node:test'
import { setImmediate as round } from 'node:timers/promises'
import type { Connection } from '../connection.ts'
import type { Page } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { deferred } from '../pool/waiters.ts'
import { hostProvider } from '../providers/host.ts'
import { some } from '../testing/pools.test.helper.ts'
import { endAll, type Reads, same } from './harness.test.helper.ts'
import { listen } from './listen.ts'
import { receiveInto } from './receivers/receive-into.ts'
import { type SendJob, startOf } from './sender.test.worker.ts'

interface Load {
  readonly pool: PagePool<Page>
  readonly connections: number
  readonly bytes: number
  readonly reads: Reads
  /** Called with each frag before it is released. */
  readonly use?: () => Promise<unknown>
}

/** Receives over many connections from another process. Verifies all. Returns the fewest bytes that any connection had when the first one was done. */
async function receiveFromMany({ pool, connections, bytes, reads, use }: Load): Promise<number> {
  const listener = await listen({ pool, reads, port: 0, backlog: 2 * connections })
  const sender = startSender({ ...listener.address, connections, bytes })
  const progress: number[] = []
  let headers = 0
  // The others would be ahead of one that has connected late.
  const { promise: allConnected, resolve: connectedAll } = deferred()
  let least: number | undefined
  const receive = async (connection: Connection): Promise<void> => {
    const header = new Uint8Array(4)
    await receiveInto(connection, header)
    const which = new DataView(header.buffer).getUint32(0)
    let at = 0
    progress[which] = 0
    if (++headers === connections) connectedAll()
    await allConnected
    for await (const frag of connection) {
      same(frag.bytes, startOf(which) + at)
      at += frag.length
      await use?.()
      frag.release()
      progress[which] = at
    }
    assert.equal(at, bytes)
    least ??= Math.min(...progress)
    await connection.close()
  }
  const receiving: Promise<void>[] = []
  for await (const connection of listener) {
    if (receiving.push(receive(connection)) === connections) break
  }
  await Promise.all(receiving)
  sender.kill()
  await listener.close()
  assert.equal(progress.length, connections)
  await endAll(pool)
  return some(least)
}

function startSender(job: SendJob): ChildProcess {
  const sender = fork(new URL('sender.test.worker.js', import.meta.url))
  sender.send(job)
  return sender
}

for (const reads of ['posted', 'data'] as const) {
  test(`fifty connections share four pages, and none starves (${reads})`, async () => {
    const bytes = 2_000_000
    const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
    // A page is out for a while, so that the others have to wait for it.
    const use = (): Promise<unknown> => round()
    const least = await receiveFromMany({ pool, connections: 50, bytes, reads, use })
    assert.ok(
      least > (3 * bytes) / 4,
      `the slowest had ${least} of ${bytes} when the first was done`,
    )
  })

  test(`as many connections as one page allows, one after the other (${reads})`, async () => {
    const pool = createPool(hostProvider({ pages: 1, pageSize: 65_536 }))
    const least = await receiveFromMany({ pool, connections: 8, bytes: 1_000_000, reads })
    assert.ok(least > 0, `the slowest had ${least} when the first was done`)
  })

  test(`a thousand connections through 16 MiB (${reads})`, async () => {
    const pool = createPool(hostProvider({ pages: 64, pageSize: 262_144 }))
    const least = await receiveFromMany({ pool, connections: 1000, bytes: 500_000, reads })
    assert.ok(least > 0, `the slowest had ${least} when the first was done`)
  })
}
