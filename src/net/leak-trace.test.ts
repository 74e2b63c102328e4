// Reports of a pool with traceLeaks name who received a frag and from whom.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import type { Connection } from '../connection.ts'
import { createPool } from '../pool/create-pool.ts'
import type { HostFrag } from '../pool/frag.ts'
import { hostProvider } from '../providers/host.ts'
import { end, some } from '../testing/pools.test.helper.ts'
import { listen } from './listen.ts'

const pageSize = 64 * 1024

/** An application of its own: what is beside this file counts as the package's. */
interface Application {
  iterate(connection: Connection, count: number): Promise<HostFrag[]>
  ask(connection: Connection, count: number): Promise<HostFrag[]>
}

const application: Application = await import(
  `data:text/javascript,${encodeURIComponent(`
    export async function iterate(connection, count) {
      const frags = []
      for await (const frag of connection) if (take(frags, frag) === count) break
      return frags
    }
    export async function ask(connection, count) {
      const frags = []
      while (take(frags, await connection.receive()) < count);
      return frags
    }
    // Copies hold no page.
    function take(frags, frag) {
      if (frag.bytes.buffer.byteLength === ${pageSize}) frags.push(frag)
      else frag.release()
      return frags.length
    }
  `)}`
)

for (const how of ['iterate', 'ask'] as const) {
  test(`frags have the application's frames and the peer's address: ${how}`, async () => {
    const pool = createPool(hostProvider({ pages: 16, pageSize }), { traceLeaks: true })
    await using listener = await listen({ pool, host: '127.0.0.1', port: 0 })
    const peer = net.connect(listener.address.port, '127.0.0.1')
    const connection = some(await listener.accept())
    peer.write(new Uint8Array(1_000_000))
    const frags = await application[how](connection, 4)
    const { host, port } = connection.remoteAddress
    const held = pool.holders().filter(({ label }) => label === `tcp ${host}:${port}`)
    assert.ok(held.length > 0)
    for (const { kind, stack } of held) {
      assert.equal(kind, 'frag')
      assert.match(some(stack), new RegExp(`^ {4}at (async )?(Module\\.)?${how} \\(data:`))
      assert.doesNotMatch(some(stack), /dist|node:/)
    }
    for (const frag of frags) frag.release()
    peer.destroy()
    connection.destroy()
    await connection.closed
    await end(pool)
  })
}
