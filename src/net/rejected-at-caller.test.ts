import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../connection.ts'
import { createPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { connect } from './connect.ts'
import { ways, withEnds } from './harness.test.helper.ts'
import { receiveInto } from './receivers/receive-into.ts'

/** Calls that wait for bytes, by the name of the function that a stack names. */
const callers: Readonly<Record<string, (connection: Connection) => Promise<unknown>>> = {
  async receives(connection) {
    return await connection.receive()
  },
  async receivesUnlessAborted(connection) {
    return await connection.receive({ signal: new AbortController().signal })
  },
  async loops(connection) {
    for await (const frag of connection) frag.release()
  },
  async fills(connection) {
    return await receiveInto(connection, new Uint8Array(100))
  },
  async pipes(connection) {
    const chunks: unknown[] = []
    return await connection.pipeTo(
      new WritableStream({ write: (chunk) => void chunks.push(chunk) }),
    )
  },
}

async function failureOf(call: Promise<unknown>): Promise<Error> {
  return call.then(
    () => assert.fail('it does not fail'),
    (error: Error) => error,
  )
}

for (const [name, caller] of Object.entries(callers)) {
  for (const way of ways(['tcp4'], ['posted'])) {
    test(`a reset is told with the function that waits: ${name} (${way.name})`, () =>
      withEnds(way, async ({ connection, peer }) => {
        const failing = failureOf(caller(connection))
        peer.resetAndDestroy()
        const error = await failing
        const place = new RegExp(`^ConnectionError: .*\\n(.*\\n)* +at async (\\w+\\.)?${name} `)
        assert.match(error.stack ?? '', place)
        // Later calls get the same error, whose stack does not grow.
        const { stack } = error
        assert.equal(await failureOf(connection.receive()), error)
        assert.equal(error.stack, stack)
      }))
  }
}

test('the reason that destroy() was given keeps its stack', () =>
  withEnds(ways(['tcp4'], ['posted'])[0] ?? assert.fail(), async ({ connection }) => {
    const reason = new Error('why')
    const { stack } = reason
    const failing = failureOf(callers['receives']?.(connection) ?? assert.fail())
    connection.destroy(reason)
    assert.equal(await failing, reason)
    assert.equal(reason.stack, stack)
  }))

test('connect() that fails tells who called it', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  async function dials(): Promise<void> {
    await connect({ pool, path: '/nowhere' })
  }
  const { stack } = await failureOf(dials())
  assert.match(stack ?? '', /at async connect .*\n +at async dials /)
  await pool.destroy()
})
