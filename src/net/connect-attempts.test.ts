import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import dns from 'node:dns'
import { once } from 'node:events'
import net from 'node:net'
import { mock, test } from 'node:test'
import { createPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { some } from '../testing/pools.test.helper.ts'
import { firstOutput } from '../testing/processes.test.helper.ts'
import { connect } from './connect.ts'
import { retryWithMoreTime } from './connect-attempts.ts'
import { endAll, ways } from './harness.test.helper.ts'

function outOfTime(): Error {
  const late = Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' })
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  return new Error('cannot connect', { cause: new AggregateError([late, refused]) })
}

test('addresses that had no time to answer get four times as much', async () => {
  const given: number[] = []
  const result = await retryWithMoreTime(async (timeoutMs) => {
    given.push(timeoutMs)
    if (given.length < 4) throw outOfTime()
    return 'connected'
  })
  assert.equal(result, 'connected')
  assert.deepEqual(given, [250, 1000, 4000, 16_000])
})

test('an address that refused is not asked again, and patience ends', async () => {
  const refused = new Error('refused', { cause: new AggregateError([new Error('ECONNREFUSED')]) })
  let attempts = 0
  const failing = (error: Error) => (): Promise<never> => {
    attempts++
    return Promise.reject(error)
  }
  await assert.rejects(retryWithMoreTime(failing(refused)), refused)
  assert.equal(attempts, 1)
  const late = outOfTime()
  attempts = 0
  await assert.rejects(retryWithMoreTime(failing(late)), late)
  assert.equal(attempts, 6)
})

const noIpv6 = some(ways(['tcp6'])[0]).skip
const noStops = process.platform !== 'linux' && 'needs a process that can be stopped'

test('a server that answers late is waited for, though its name has another address', {
  skip: noIpv6 || noStops,
}, async () => {
  // Listens, but accepts nothing while it is stopped: its queue is full, and SYNs are dropped.
  const program = `
    import net from 'node:net'
    const server = net.createServer((socket) => socket.end('late'))
    server.listen({ host: '::1', port: 0, backlog: 1 }, () => console.log(server.address().port))
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', program])
  const said = await firstOutput(child)
  const port = Number(said)
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 4 }, () =>
    net.connect({ host: '::1', port }).on('error', () => {}),
  )
  await once(some(fillers[0]), 'connect')

  const lookup = mock.method(
    dns,
    'lookup',
    (_host: string, _options: object, done: (error: null, addresses: object[]) => void) => {
      done(null, [
        { address: '::1', family: 6 },
        // Another program may have the port on 127.0.0.1.
        { address: '127.0.0.2', family: 4 },
      ])
    },
  )
  let timeouts = 0
  const watch = (message: unknown): void => {
    const socket: unknown = Reflect.get(Object(message), 'socket')
    if (!(socket instanceof net.Socket)) return
    socket.on('connectionAttemptTimeout', () => {
      if (++timeouts === 1) child.kill('SIGCONT')
    })
  }
  diagnostics.subscribe('net.client.socket', watch)
  const pool = createPool(hostProvider({ pages: 1 }))
  try {
    const connection = await connect({ pool, host: 'late.test', port })
    assert.ok(timeouts >= 1, 'it was late')
    assert.equal(connection.remoteAddress.host, '::1')
    const frag = some(await connection.receive())
    assert.equal(Buffer.from(frag.bytes).toString(), 'late')
    frag.release()
    await connection.close()
  } finally {
    diagnostics.unsubscribe('net.client.socket', watch)
    lookup.mock.restore()
    for (const filler of fillers) filler.destroy()
    child.kill('SIGKILL')
  }
  await endAll(pool)
})
