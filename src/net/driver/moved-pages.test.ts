// A pool's memory that is taken away, and bytes that are taken away before they are sent.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../../connection.ts'
import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { externalProvider } from '../../providers/external.ts'
import { resizable } from '../../testing/resizable.test.helper.ts'
import { driverOf, pattern, rejection, send, ways, withEnds } from '../harness.test.helper.ts'
import { receiveInto } from '../receivers/receive-into.ts'

const pageSize = 65_536
const bytes = 16 * pageSize

/** A pool, and the function that takes its memory away and returns the new holder. */
type Gone = () => { pool: PagePool<Page>; take: () => ArrayBuffer | undefined }

const pools: { readonly [name: string]: Gone } = {
  shrunk: () => {
    const memory = resizable(bytes)
    const take = (): undefined => memory.resize(0) as undefined
    return { pool: createPool(externalProvider(memory, { pageSize })), take }
  },
  transferred: () => {
    const memory = new ArrayBuffer(bytes)
    const pool = createPool(externalProvider({ buffer: memory }, { pageSize }))
    return { pool, take: () => structuredClone(memory, { transfer: [memory] }) }
  },
}

const moments: { readonly [name: string]: (take: () => void) => void } = {
  'at once': (take) => take(),
  'in a microtask': queueMicrotask,
  'in the next tick': process.nextTick,
  'in an immediate': setImmediate,
}

/** The ways in which an application meets it. */
const receivers: { readonly [name: string]: (connection: Connection) => Promise<unknown> } = {
  frags: async (connection) => {
    for await (const frag of connection) frag.release()
  },
  'frags that are kept': async (connection) => {
    const kept = []
    try {
      for await (const frag of connection) kept.push(frag)
    } finally {
      for (const frag of kept) frag.release()
    }
  },
  'a destination after a frag': async (connection) => {
    const frag = await connection.receive()
    frag?.release()
    await receiveInto(connection, new Uint8Array(10_000_000))
  },
}

/** Reads after which the memory is taken. */
const FIRST_READS = [1, 2, 3]
/** Number of a late read. It never comes without TLS, where pieces are larger. */
const LATER_READ = 32

for (const way of ways(['tcp4', 'unix', 'tls'])) {
  for (const [name, gone] of Object.entries(pools)) {
    test(`a pool's memory that is ${name} during a transfer (${way.name})`, {
      skip: way.skip,
    }, async () => {
      for (const [what, receive] of Object.entries(receivers)) {
        for (const [when, moment] of Object.entries(moments)) {
          for (const read of way.kind === 'tls' ? [...FIRST_READS, LATER_READ] : FIRST_READS) {
            const { pool, take } = gone()
            await withEnds(
              way,
              async ({ connection, peer }) => {
                const driver = driverOf(connection)
                const arrived = driver.arrived.bind(driver)
                let owner: ArrayBuffer | undefined
                let before: Uint8Array | undefined
                let reads = 0
                driver.arrived = (length) => {
                  const on = arrived(length)
                  if (++reads !== read) return on
                  moment(() => {
                    owner = take()
                    before = owner && new Uint8Array(owner).slice()
                  })
                  return on
                }
                const sent = send(peer, 0, 600_000).then(() => peer.end())
                // The connection may end well if copies are enough for everything that arrives.
                const code = await receive(connection).then(() => 'none', codeOf)
                const expected = ['NETMEM_DESTINATION_DETACHED', 'NETMEM_ENDED_EARLY', 'none']
                assert.ok(expected.includes(code), `${code}: ${what}, ${when}, read ${read}`)
                connection.destroy()
                await sent
                if (owner === undefined || before === undefined) return
                assert.deepEqual(new Uint8Array(owner), before, `${what}, ${when}, read ${read}`)
              },
              { pool },
            )
          }
        }
      }
    })
  }

  test(`bytes that move before they are sent (${way.name})`, { skip: way.skip }, () =>
    withEnds(way, async ({ connection, peer }) => {
      peer.pause()
      const first = connection.write(pattern(0, 100_000))
      first.catch(() => {})
      const bytes = new Uint8Array(50_000_000)
      const sent = rejection(connection.write(bytes))
      structuredClone(bytes, { transfer: [bytes.buffer] })
      peer.resume()
      assert.equal(await sent, 'NETMEM_DESTINATION_DETACHED')
      await connection.closed
      assert.equal(connection.state.kind, 'failed')
    }),
  )
}

function codeOf(error: unknown): string {
  return error instanceof Error ? String(Reflect.get(error, 'code')) : ''
}
