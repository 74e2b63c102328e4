// Device frags without a release. They are collected by hand: the tests run with --expose-gc.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { test } from 'node:test'
import { createPool } from '../../../pool/create-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { turns } from '../../../testing/waiting.test.helper.ts'
import { FakeIo, type Piece } from './fake-io.test.helper.ts'
import { OpenDevmemConnection } from './open-devmem-connection.ts'
import type { DeviceLeakReport } from './token-leaks.ts'

const PAGE = 4096
const binding = { id: 7, ifindex: 2, queues: [3], dmabuf: { bytes: 2 ** 24 } }
const label = 'tcp 192.0.2.2:40000'

/** An application of its own: what is beside this file counts as the package's. */
const APPLICATION = `data:text/javascript,${encodeURIComponent(`
  export async function receiveInApplication(connection) {
    const { length } = await connection.receive()
    return length
  }
`)}`

function setUp(traceLeaks: boolean) {
  const pool = createPool(hostProvider({ pages: 4 }), { traceLeaks })
  const io = new FakeIo()
  return { pool, io, connection: new OpenDevmemConnection(io, { pool, binding }) }
}

function device(index: number): Piece {
  return { kind: 'device', binding: 7, offset: index * PAGE, length: PAGE }
}

async function collect(): Promise<void> {
  for (let rounds = 0; rounds < 3; rounds++) {
    some(globalThis.gc)()
    await turns()
  }
}

async function reportsOf(action: () => Promise<unknown>): Promise<DeviceLeakReport[]> {
  const reports: DeviceLeakReport[] = []
  const listen = (report: unknown): void => void reports.push(report as DeviceLeakReport)
  subscribe('netmem:leak', listen)
  await action()
  await collect()
  unsubscribe('netmem:leak', listen)
  return reports
}

/** Receives and drops frags in a function of its own, whose frame keeps none alive. */
async function drop(connection: OpenDevmemConnection, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await connection.receive()
}

test('frags that are dropped are reported together, and those that were released are not', async () => {
  const { pool, io, connection } = setUp(false)
  const reports = await reportsOf(async () => {
    io.arrive(...[0, 1, 2, 3].map(device))
    some(await connection.receive()).release()
    await drop(connection, 3)
    io.arrive(...[4, 5].map(device))
    for (const _ of [4, 5]) some(await connection.receive()).release()
  })
  assert.deepEqual(reports, [
    { kind: 'device frag', frags: 3, binding: 7, label, stack: undefined },
  ])
  assert.equal(connection.stats().tokens_out, 3)
  connection.destroy()
  await pool.destroy()
})

test('frags that were not received are given back with their connection, and not reported', async () => {
  const { pool, io, connection } = setUp(false)
  const reports = await reportsOf(async () => {
    io.arrive(...[0, 1, 2].map(device))
    some(await connection.receive()).release()
    connection.destroy()
  })
  assert.deepEqual(reports, [])
  assert.equal(io.tokens.size, 0)
  await pool.destroy()
})

test('with traceLeaks each frag has a report, with the frames of the application', async () => {
  const { receiveInApplication } = await import(APPLICATION)
  const { pool, io, connection } = setUp(true)
  const reports = await reportsOf(async () => {
    io.arrive(...[0, 1].map(device))
    for (const _ of [0, 1]) assert.equal(await receiveInApplication(connection), PAGE)
  })
  assert.equal(reports.length, 2)
  for (const { frags, stack } of reports) {
    assert.equal(frags, 1)
    assert.match(some(stack), /^ {4}at receiveInApplication \(data:/)
    assert.doesNotMatch(some(stack), /dist|node:/)
  }
  connection.destroy()
  await pool.destroy()
})

test('without a listener a leak is a warning of the process', async () => {
  const { pool, io, connection } = setUp(false)
  const warned = once(process, 'warning')
  io.arrive(device(0))
  await drop(connection, 1)
  await collect()
  const [warning] = await warned
  assert.equal(warning.code, 'netmem:leak')
  assert.match(
    warning.message,
    /^A frag in device memory .* binding 7\. .*192\.0\.2\.2:40000\..*traceLeaks/,
  )
  connection.destroy()
  await pool.destroy()
})
