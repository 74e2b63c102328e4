import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { createPool, hostProvider } from '../index.ts'
import { type Connection, type Listener, listen } from '../net/index.ts'
import { until } from '../testing/waiting.test.helper.ts'
import {
  inside,
  jsonOf,
  MAIN,
  netmem,
  Running,
  run,
  runInTurn,
  temporaryFolder,
} from './cli.test.helper.ts'
import { Pattern } from './pattern.ts'

const data = Buffer.concat([...new Pattern(1).views(5_000_011, 2 ** 20)])
const sha256 = createHash('sha256').update(data).digest('hex')

/** A receiver that does not stop at a reset that libuv mistakes for the end. */
async function receiver(): Promise<{
  readonly listener: Listener
  readonly where: string
  [Symbol.asyncDispose](): Promise<void>
}> {
  const pool = createPool(hostProvider({ pages: 8 }))
  const listener = await listen({ pool, port: 0, host: '127.0.0.1' })
  return {
    listener,
    where: `127.0.0.1:${listener.address.port}`,
    async [Symbol.asyncDispose]() {
      await listener.close()
      await pool.destroy()
    },
  }
}

async function accepted(listener: Listener): Promise<Connection> {
  const connection = await listener.accept()
  assert.ok(connection !== undefined)
  return connection
}

/** Rejects unless the sender finishes. */
async function receiveAll(connection: Connection): Promise<void> {
  for await (const frag of connection) frag.release()
}

/** True if IPv6 works on the loopback interface. */
async function hasIpv6(): Promise<boolean> {
  const server = net.createServer()
  try {
    await once(server.listen(0, '::1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

const skipIpv6 = (await hasIpv6()) ? false : 'there is no ::1 on this machine'

const noProcMem = existsSync('/proc/self/mem') ? false : 'there is no /proc/self/mem'

async function portOf(server: net.Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

describe('netmem send', () => {
  const file = temporaryFolder()
  const given = file('given')
  writeFileSync(given, data)
  writeFileSync(file('empty'), '')

  const sources = [
    { name: 'a file', args: [given] },
    { name: 'stdin', args: [], input: data },
    { name: 'stdin by its name', args: ['-'], input: data },
    { name: 'a pattern', args: ['--bytes', `${data.length}`, '--pattern', '1'] },
    { name: 'the first pattern', args: ['--bytes', `${data.length}B`] },
  ]
  for (const { name, args, input } of sources) {
    it(`sends ${name}`, async () => {
      const recv = netmem('recv', '--port', '0', '--once', '--sha256', '--json')
      const sent = await run(['send', `127.0.0.1:${await recv.port()}`, ...args, '--json'], input)
      const received = await recv.ended
      assert.deepEqual([sent.code, received.code], [0, 0], sent.err)
      assert.equal(inside(jsonOf(received), 'transfers')['sha256'], sha256)
      const report = jsonOf(sent)
      assert.deepEqual([report['bytes'], report['ended']], [data.length, 'finished'])
    })
  }

  it("sends what the kernel's ncdevmem checks", async () => {
    const recv = netmem(
      'recv',
      '--port',
      '0',
      '--once',
      '--pattern',
      'ncdevmem',
      '--sha256',
      '--json',
    )
    const bytes = ['--bytes', '14B', '--pattern', 'ncdevmem']
    const sent = await run(['send', `127.0.0.1:${await recv.port()}`, ...bytes])
    const received = await recv.ended
    assert.deepEqual([sent.code, received.code], [0, 0], sent.err)
    const lines = createHash('sha256').update('\x01\x02\x03\x04\x05\x06\n'.repeat(2)).digest('hex')
    assert.equal(inside(jsonOf(received), 'transfers')['sha256'], lines)
  })

  it('sends nothing, if that is what there is', async () => {
    const recv = netmem('recv', '--port', '0', '--once', '--json')
    const sent = await run(['send', `localhost:${await recv.port()}`, file('empty'), '--json'])
    assert.deepEqual([sent.code, jsonOf(sent)['bytes']], [0, 0])
    assert.equal(jsonOf(await recv.ended)['bytes'], 0)
  })

  it('sends over IPv6', { skip: skipIpv6 }, async () => {
    const recv = netmem('recv', '--host', '::1', '--port', '0', '--once', '--pattern', '1')
    const sent = await run(['send', `[::1]:${await recv.port()}`, '--bytes', '1MiB'])
    const { code, out } = await recv.ended
    assert.deepEqual([sent.code, code], [0, 0])
    assert.match(sent.out.toString(), /^\[::1\]:\d+ {2}1048576 bytes /)
    assert.match(out.toString(), /^\[::1\]:\d+ {2}1048576 bytes .* verified {2}finished\n/)
  })

  it('waits until the peer has closed, and receives what the peer sends before', async () => {
    const server = net.createServer({ allowHalfOpen: true }, async (socket) => {
      socket.write(Buffer.alloc(3_000_000))
      socket.resume()
      await once(socket, 'end')
      await sleep(300)
      socket.end()
    })
    const sent = await run(['send', `127.0.0.1:${await portOf(server)}`, given, '--json'])
    server.close()
    assert.equal(sent.code, 0)
    assert.ok(Number(jsonOf(sent)['seconds']) >= 0.3)
  })

  it('fails when the peer breaks off, also while it waits for stdin', async () => {
    const server = net.createServer((socket) => {
      socket.once('data', () => socket.resetAndDestroy())
    })
    const port = await portOf(server)
    const waiting = netmem('send', `127.0.0.1:${port}`, '--json')
    waiting.child.stdin.write('a little')
    const ends = await Promise.all([
      run(['send', `127.0.0.1:${port}`, '--bytes', '1GB', '--json']),
      waiting.ended,
    ])
    server.close()
    for (const ended of ends) {
      assert.equal(ended.code, 1)
      assert.match(ended.err, /^netmem: NETMEM_CONNECTION_RESET: The receiver broke off.+\n$/)
      assert.equal(jsonOf(ended)['ended'], 'failed')
    }
  })

  it('tells no receiver that a file was finished which became shorter', async () => {
    await using ends = await receiver()
    const shrinking = file('shrinking')
    writeFileSync(shrinking, '')
    // More than fits between the two while the receiver reads nothing.
    truncateSync(shrinking, 2 ** 28)
    const sending = netmem('send', ends.where, shrinking, '--json')
    const connection = await accepted(ends.listener)
    truncateSync(shrinking, 1_000)
    await assert.rejects(receiveAll(connection), { code: 'NETMEM_CONNECTION_RESET' })
    const ended = await sending.ended
    assert.equal(ended.code, 1)
    assert.match(ended.err, /^netmem: WRONG_LENGTH: The source ended after \d+ of 268435456 bytes/)
    assert.equal(jsonOf(ended)['ended'], 'failed')
  })

  it('tells the receiver when its source fails', { skip: noProcMem }, async () => {
    await using ends = await receiver()
    // The first page of a process's memory cannot be read: EIO.
    const sending = netmem('send', ends.where, '/proc/self/mem', '--json')
    const connection = await accepted(ends.listener)
    await assert.rejects(receiveAll(connection), { code: 'NETMEM_CONNECTION_RESET' })
    const ended = await sending.ended
    assert.equal(ended.code, 1)
    assert.match(ended.err, /^netmem: EIO: /)
  })

  it('sends no folder, and does not connect for it', async () => {
    await using ends = await receiver()
    const words = [process.execPath, MAIN, 'send', ends.where]
    for (const sending of [
      netmem('send', ends.where, file('.')),
      new Running('sh', ['-c', '"$0" "$@" < .', ...words]),
    ]) {
      const { code, err } = await sending.ended
      assert.equal(code, 2)
      assert.match(err, /^netmem: USAGE: \S+ is a folder; .*tar c .* \| netmem send/)
    }
    await ends.listener.close()
    assert.equal(await ends.listener.accept(), undefined)
  })

  it('ends with a summary at SIGINT and SIGTERM', async () => {
    const server = net.createServer((socket) => socket.on('error', () => undefined).resume())
    const port = await portOf(server)
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      for (const args of [['--bytes', '8TB'], []]) {
        const sending = netmem('send', `127.0.0.1:${port}`, ...args, '--json')
        const [socket]: net.Socket[] = await once(server, 'connection')
        // The sender has sent several pieces, or waits for more on stdin.
        const enough = args.length > 0 ? 32 * 2 ** 20 : 1
        if (args.length === 0) sending.child.stdin.write('x')
        await until(() => (socket?.bytesRead ?? 0) >= enough, 'it has sent')
        sending.child.kill(signal)
        const ended = await sending.ended
        const report = jsonOf(ended)
        assert.deepEqual([ended.code, report['exitCode'], ended.err], [code, code, ''])
        assert.equal(report['ended'], 'interrupted')
        if (args.length > 0) assert.ok(Number(report['bytes']) > 0)
        else assert.ok(Number(report['bytes']) <= 1)
      }
    }
    server.close()
  })

  it('says what is wrong', async () => {
    // Port 1, since a port that was free a moment ago may be another test's now.
    const wrong = [
      [1, ['127.0.0.1:1', given], /^netmem: NETMEM_CONNECT_FAILED: /],
      [1, ['127.0.0.1:1', file('none')], /^netmem: ENOENT: /],
      [2, ['127.0.0.1', given], /^netmem: USAGE: .*HOST:PORT/],
      [2, ['::1:5201', given], /^netmem: USAGE: .*brackets/],
      [2, ['127.0.0.1:5201', given, '--bytes', '1MB'], /^netmem: USAGE: /],
      [2, ['127.0.0.1:5201', '--pattern', '1'], /^netmem: USAGE: .*--bytes/],
      [2, ['127.0.0.1:5201', '--bytes', '10M'], /^netmem: USAGE: .*10MiB/],
      [2, [], /^netmem: USAGE: /],
    ] as const
    const ends = await runInTurn(wrong.map(([, args]) => ['send', ...args]))
    for (const [i, { code, err, out }] of ends.entries()) {
      assert.match(err, wrong[i]?.[2] ?? /^$/)
      assert.match(err, /^[^\n]+\n$/)
      assert.deepEqual([code, out.length], [wrong[i]?.[0], 0])
    }
  })
})
