import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { describe, it } from 'node:test'

import {
  inside,
  jsonLines,
  jsonOf,
  netmem,
  noTcpTable,
  Running,
  readByPeer,
  run,
  runInTurn,
  temporaryFolder,
  unlessInstalled,
} from './cli.test.helper.ts'
import { Pattern } from './pattern.ts'

const pattern = new Pattern(7)
// recv.guest.test.ts is for machines that have it.
const hasUdmabuf = existsSync('/dev/udmabuf') && 'this machine has dma-bufs'
const data = Buffer.concat([...pattern.views(10_000_019, 2 ** 20)])

function connectTo(port: number): net.Socket {
  return net.connect(port, '127.0.0.1').on('error', () => undefined)
}

describe('netmem recv', () => {
  const file = temporaryFolder()
  const given = file('given')
  writeFileSync(given, data)

  const sha256 = createHash('sha256').update(data).digest('hex')

  for (const memory of ['host', 'shared']) {
    it(`writes, verifies and hashes what comes, in ${memory} memory`, async () => {
      const out = file(`written-${memory}`)
      const checks = ['--out', out, '--pattern', '7', '--bytes', `${data.length}`, '--sha256']
      const recv = netmem('recv', '--port', '0', '--once', '--memory', memory, '--json', ...checks)
      connectTo(await recv.port()).end(data)
      const ended = await recv.ended
      const report = jsonOf(ended)
      const transfer = inside(report, 'transfers')
      assert.deepEqual([ended.code, report['exitCode'], report['failed']], [0, 0, 0], ended.err)
      assert.deepEqual(
        [transfer['bytes'], transfer['verified'], transfer['sha256'], transfer['ended']],
        [data.length, true, sha256, 'finished'],
      )
      assert.equal(inside(report, 'pool')['out'], 0)
      assert.equal(Buffer.compare(readFileSync(out), data), 0)
    })
  }

  it('says what a machine without dma-bufs lacks', { skip: hasUdmabuf }, async () => {
    const { code, err } = await run(['recv', '--port', '0', '--once', '--memory', 'udmabuf'])
    assert.equal(code, 1)
    assert.match(err, /^netmem: NETMEM_UDMABUF_UNAVAILABLE: .*`modprobe udmabuf`/)
  })

  it('writes to stdout, and then speaks on stderr', async () => {
    const recv = netmem('recv', '--port', '0', '--once', '--out', '-')
    connectTo(await recv.port()).end(data)
    const { code, out, err } = await recv.ended
    assert.equal(code, 0)
    assert.equal(Buffer.compare(out, data), 0)
    assert.match(err, /10000019 bytes .* finished\n {2}pool: /)
  })

  const senders = [
    { program: 'nc', args: (port: number) => ['-N', '127.0.0.1', `${port}`], stdin: true },
    { program: 'socat', args: (port: number) => ['-u', `FILE:${given}`, `TCP:127.0.0.1:${port}`] },
  ]
  for (const { program, args, stdin = false } of senders) {
    const skip = unlessInstalled(program, ['-h'])
    it(`takes what ${program} sends`, { skip }, async () => {
      const recv = netmem('recv', '--port', '0', '--once', '--json', '--sha256')
      const sender = new Running(program, args(await recv.port()))
      if (stdin) sender.child.stdin.end(data)
      assert.equal((await sender.ended).code, 0)
      const ended = await recv.ended
      assert.equal(ended.code, 0)
      assert.equal(inside(jsonOf(ended), 'transfers')['sha256'], sha256)
    })
  }

  it('serves several at once until SIGINT, and then sums up', async () => {
    const recv = netmem('recv', '--port', '0', '--pattern', '7', '--json')
    const port = await recv.port()
    const sockets = [1, 2, 3].map(() => connectTo(port).end(data))
    await Promise.all(sockets.map((socket) => once(socket.resume(), 'close')))
    const idle = connectTo(port)
    idle.write(data.subarray(0, 100))
    await once(idle, 'connect')
    // The next one is accepted after it.
    await once(connectTo(port).end().resume(), 'close')
    recv.child.kill('SIGINT')
    const ended = await recv.ended
    const report = jsonOf(ended)
    assert.deepEqual([ended.code, report['exitCode'], report['failed']], [130, 130, 0])
    assert.deepEqual([report['connections'], report['error']], [5, undefined])
    assert.ok(Array.isArray(report['transfers']))
    const ends = report['transfers'].map((transfer: { ended: string }) => transfer.ended)
    assert.deepEqual(ends.sort(), ['finished', 'finished', 'finished', 'finished', 'interrupted'])
    assert.equal(inside(report, 'pool')['out'], 0)
  })

  it('reports each connection when it ends', async () => {
    const recv = netmem('recv', '--port', '0', '--json')
    const port = await recv.port()
    const open = connectTo(port)
    open.write('x')
    await once(open, 'connect')
    connectTo(port).end(data)
    await recv.prints(/"bytes":10000019,.*"ended":"finished".*\n/)
    recv.child.kill('SIGINT')
    const [first, second, end] = jsonLines((await recv.ended).out.toString())
    assert.deepEqual([first?.['event'], first?.['ended']], ['transfer', 'finished'])
    assert.deepEqual([second?.['event'], second?.['ended']], ['transfer', 'interrupted'])
    assert.deepEqual([end?.['event'], end?.['connections'], end?.['bytes']], ['end', 2, 10000020])
  })

  it('tells a sender of its failures, and not that all is well', async () => {
    const recv = netmem('recv', '--port', '0', '--once', '--pattern', '7')
    const sent = await run(['send', `127.0.0.1:${await recv.port()}`, '--bytes', '1MB'])
    assert.equal((await recv.ended).code, 1)
    assert.equal(sent.code, 1)
    assert.match(sent.err, /^netmem: NETMEM_CONNECTION_RESET: The receiver broke off/)
  })

  const failures = [
    {
      name: 'a reset',
      skip: noTcpTable,
      // Resets once the peer has read everything: libuv takes a reset closely behind data for an end.
      end: (socket: net.Socket) =>
        socket.write(data, async () => {
          await readByPeer(socket)
          socket.resetAndDestroy()
        }),
      code: 'NETMEM_CONNECTION_RESET',
    },
    {
      name: 'a wrong byte',
      end: (socket: net.Socket) => socket.end(Buffer.from(data).fill(0, 5_000, 5_001)),
      code: 'WRONG_DATA',
    },
    {
      name: 'too little',
      end: (socket: net.Socket) => socket.end(data.subarray(1)),
      code: 'WRONG_',
    },
    {
      name: 'a tail that is missing',
      end: (socket: net.Socket) => socket.end(data.subarray(0, -1)),
      code: 'WRONG_LENGTH',
    },
  ]
  for (const { name, end, code, skip = false } of failures) {
    it(`fails after ${name}`, { skip }, async () => {
      const checks = ['--pattern', '7', '--bytes', `${data.length}`]
      const recv = netmem('recv', '--port', '0', '--once', '--json', ...checks)
      const socket = connectTo(await recv.port())
      await once(socket, 'connect')
      end(socket)
      const ended = await recv.ended
      assert.equal(ended.code, 1)
      assert.ok(String(inside(jsonOf(ended), 'error')['code']).startsWith(code), ended.err)
      assert.match(ended.err, new RegExp(`^netmem: ${code}.*: .+$`, 'm'))
    })
  }

  for (const { name, end } of failures) {
    it(`leaves the file that was there after ${name}`, async () => {
      const folder = `careful-${name}`
      const out = file(`${folder}/f`)
      mkdirSync(file(folder))
      writeFileSync(out, 'old', { mode: 0o600 })
      const checks = ['--out', out, '--pattern', '7', '--bytes', `${data.length}`]
      const recv = netmem('recv', '--port', '0', '--once', ...checks)
      const socket = connectTo(await recv.port())
      await once(socket, 'connect')
      end(socket)
      assert.equal((await recv.ended).code, 1)
      assert.equal(readFileSync(out, 'utf8'), 'old')
      assert.deepEqual(readdirSync(file(folder)), ['f'])
    })
  }

  it('refuses a folder as its file', async () => {
    const { code, err } = await netmem('recv', '--port', '0', '--once', '--out', file('')).ended
    assert.equal(code, 2)
    assert.match(err, /^netmem: USAGE: --out \S+ is a folder; name a file in it\.$/m)
  })

  it('makes the folders of its file, and leaves nothing there when no peer came', async () => {
    const args = ['recv', '--port', '0', '--once', '--out', file('deep/er/f')]
    const interrupted = netmem(...args)
    await interrupted.port()
    interrupted.child.kill('SIGINT')
    const stopped = await interrupted.ended
    assert.equal(stopped.code, 130)
    assert.match(stopped.err, /^netmem: stopped before any connection came$/m)
    assert.deepEqual(readdirSync(file('deep/er')), [])
    const recv = netmem(...args)
    connectTo(await recv.port()).end(data)
    const { code, err } = await recv.ended
    assert.equal(code, 0, err)
    assert.equal(Buffer.compare(readFileSync(file('deep/er/f')), data), 0)
    assert.deepEqual(readdirSync(file('deep/er')), ['f'])
  })

  it('fails where it cannot write', async () => {
    const out = file('given/file')
    const { code, err } = await run(['recv', '--port', '0', '--once', '--out', out])
    assert.equal(code, 1)
    assert.match(err, /^netmem: ENOTDIR: \S+: not a directory$/m)
  })

  it('fails at once where no folder can be made', {
    skip: !existsSync('/proc') && 'there is no /proc',
  }, async () => {
    // Node's own recursive mkdir never ends here.
    const { code, err } = await run(['recv', '--port', '0', '--once', '--out', '/proc/x/y/file'])
    assert.equal(code, 1)
    assert.match(err, /^netmem: ENOENT: \/proc\/x\/y: no such file or directory$/m)
  })

  it('fails when the reader of its stdout has gone', async () => {
    const recv = netmem('recv', '--port', '0', '--once', '--out', '-')
    recv.child.stdout.destroy()
    connectTo(await recv.port()).end(data)
    const { code, err } = await recv.ended
    assert.equal(code, 1)
    assert.match(err, /^netmem: EPIPE: /m)
  })

  it('fails on a port that is taken', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const ended = await run(['recv', '--port', `${address.port}`, '--json'])
    server.close()
    assert.equal(ended.code, 1)
    assert.match(ended.err, /^netmem: NETMEM_LISTEN_FAILED: .+\n$/)
    assert.equal(inside(jsonOf(ended), 'error')['code'], 'NETMEM_LISTEN_FAILED')
  })

  it('says what is wrong with its arguments', async () => {
    const wrong = [
      [['--pool', '16M'], /'16M' may mean two things/],
      [['--pool', '4KiB'], /--pool 4KiB holds no page of 256KiB/],
      [['--page-size', '5000'], /--page-size must be a power of two/],
      [['--memory', 'device'], /host, shared/],
      [['--port', '65536'], /no port/],
      [['--pattern', '-1'], /seed/],
      [['--out', file('refused')], /--once/],
    ] as const
    const ends = await runInTurn(wrong.map(([args]) => ['recv', '--port', '0', ...args]))
    for (const [i, { code, err }] of ends.entries()) {
      assert.equal(code, 2, err)
      assert.match(err, /^netmem: USAGE: .+\n$/)
      assert.match(err, wrong[i]?.[1] ?? /^$/)
    }
  })
})
