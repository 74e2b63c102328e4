// Cards of netmem, driven by the guest kernel's own gve: two of them wired to each other, one in a network
// namespace of the guest, and one on a TAP interface in a network namespace of the host.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openWiredCards } from 'netmem/gvnic'
import { debianClosure, debianPackage } from './debian.ts'
import { runInGuest } from './guest.ts'

const BYTES = 4 << 20
const HOST = '192.0.9.1'
const GUEST = '192.0.9.2'
const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
const SCRIPT = fileURLToPath(new URL('../../../test/guest/gvnic.sh', import.meta.url))

/** Sends or receives `BYTES` bytes over TCP, or has them echoed, and prints their digest. */
const TRANSFER = `
import { createHash } from 'node:crypto'
import dgram from 'node:dgram'
import net from 'node:net'
const [role, host] = process.argv.slice(2)
const hash = createHash('sha256')
const told = (bytes, ...more) => console.log(role, bytes, hash.digest('hex').slice(0, 16), ...more)
const chunk = Buffer.alloc(${BYTES}).map((_, at) => at * 7 + (at >> 8))
if (role === 'receiver') {
  let bytes = 0
  const server = net.createServer((socket) => {
    socket.on('data', (chunk) => { bytes += chunk.length; hash.update(chunk) })
    socket.on('end', () => { told(bytes); socket.end(); server.close() })
  })
  server.listen(5201, host, () => console.log('listening'))
} else if (role === 'echo') {
  const udp = dgram.createSocket('udp4')
  net.createServer((socket) => {
    socket.pipe(socket)
    for (let sent = 0; sent < 3; sent++) udp.send(chunk.subarray(0, 1900), 9, socket.remoteAddress)
  }).listen(5201, host, () => console.log('listening'))
} else if (role === 'sender') {
  hash.update(chunk)
  net.connect(5201, host).end(chunk).on('close', () => told(chunk.length))
} else if (role === 'flood') {
  const socket = net.connect(5201, host).resume().on('error', () => {})
  const more = () => { while (socket.write(chunk)); }
  socket.on('connect', more).on('drain', more)
} else {
  const socket = net.connect(5201, host)
  let bytes = 0
  let isRight = true
  socket.end(chunk)
  socket.on('data', (part) => {
    isRight &&= part.equals(chunk.subarray(bytes, bytes + part.length))
    bytes += part.length
    hash.update(part)
  })
  socket.on('end', () => told(bytes, isRight ? 'right' : 'wrong'))
}
`

/** Words of the driver when its card is gone. */
const GIVES_UP = /gve /

/** Returns what this process has of a guest's memory: open descriptors, and mappings. */
function guestMemory(): string[] {
  const opened = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return []
    }
  })
  const mapped = readFileSync('/proc/self/maps', 'utf8').split('\n')
  return [...opened, ...mapped].filter((line) => line.includes('memory-backend-memfd'))
}

/** Waits for a line of a program. */
async function says(child: ChildProcess, line: RegExp): Promise<void> {
  let said = ''
  assert.ok(child.stdout !== null)
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (line.test(said)) break
  }
  assert.match(said, line)
}

describe('cards in a guest', () => {
  it('carry pings and TCP, and outlive harm and deaths', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'netmem-gvnic-'))
    const namespace = `netmem-gvnic-${process.pid}`
    const ip = (...args: string[]): unknown => execFileSync('ip', args)
    const inNamespace = (...args: string[]): ChildProcess =>
      spawn('ip', ['netns', 'exec', namespace, process.execPath, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
    const children: ChildProcess[] = []
    ip('netns', 'add', namespace)
    try {
      const sockets = ['a', 'b', 'c'].map((name) => join(folder, `${name}.sock`))
      const [first = '', second = '', third = ''] = sockets
      await using cards = await openWiredCards({ sockets: [first, second], queues: 2, mtu: 9000 })

      const card = inNamespace(MAIN, 'gvnic', '--socket', third, '--link', 'tap:tap0')
      children.push(card)
      const ended = once(card, 'exit')
      await says(card, /no machine\n/)
      // The kernel sends more than the card takes, which has the MTU that the interface had.
      ip('-n', namespace, 'link', 'set', 'tap0', 'mtu', '2000')
      ip('-n', namespace, 'addr', 'add', `${HOST}/24`, 'dev', 'tap0')
      ip('-n', namespace, 'link', 'set', 'tap0', 'up')
      const transfer = join(folder, 'transfer.mjs')
      writeFileSync(transfer, TRANSFER)
      const echo = inNamespace(transfer, 'echo', HOST)
      children.push(echo)
      await says(echo, /listening/)

      let said = ''
      /** Does what the guest's script has said. */
      const act = (bytes: Buffer): void => {
        const lines = `${said}${bytes}`.split('\n')
        said = lines.pop() ?? ''
        if (lines.includes('link down')) cards.setLink(false)
        if (lines.includes('link up')) cards.setLink(true)
        if (lines.includes('end the third card')) card.kill('SIGTERM')
      }
      const { exitCode, output } = await runInGuest(readFileSync(SCRIPT, 'utf8'), {
        files: { 'transfer.mjs': TRANSFER },
        modules: ['8021q'],
        network: sockets.map((socket) => ({ kind: 'gvnic', socket })),
        environment: {
          BUSYBOX: join(await debianPackage('busybox-static'), 'usr/bin/busybox'),
          ETHTOOL: await debianClosure('ethtool'),
          TCPDUMP: await debianClosure('tcpdump'),
          ...{ HOST, GUEST },
        },
        // A part of it lies beyond 4 GiB.
        memoryMiB: 3072,
        onOutput: act,
        expectedWarning: GIVES_UP,
        killAfter: 'kill QEMU',
      })
      assert.equal(exitCode, 0, output)
      const lines = output.trim().split('\n')
      t.diagnostic(output)
      const pings = new Array(3).fill('3 packets received')
      const digest = /^sender (.*)$/.exec(lines[3] ?? '')?.[1] ?? ''
      assert.ok(digest.startsWith(`${BYTES} `), output)
      const transferred = [`sender ${digest}`, `receiver ${digest}`]
      assert.deepEqual(lines, [
        ...pings,
        ...transferred,
        ...transferred,
        'BIG TCP',
        'tagged',
        ...transferred,
        ...['down and up', 'link down', 'link up'],
        ...['driver: gve', '2 RX rings available', '16'],
        ...['reset', 'driver inserted anew', 'harm done', 'bound anew'],
        `mirror ${digest} right`,
        ...['beyond the MRU', 'end the third card', 'gave up', 'kill QEMU'],
      ])
      assert.deepEqual(await ended, [143, null])
      let looks = await cards.look()
      while (looks.some(({ connected }) => connected)) looks = await cards.look()
      for (const { state, stats } of looks) {
        assert.ok(stats.device.rx_packets > 20)
        t.diagnostic(JSON.stringify({ state, device: stats.device }))
      }
      // The other card saw a good driver alone.
      const [, good] = looks
      assert.deepEqual([good?.state.commands.refused, good?.state.commands.faults], [0, 0])
      assert.deepEqual([good?.stats.device.rx_dma_faults, good?.stats.device.tx_dma_faults], [0, 0])
      assert.deepEqual(guestMemory(), [])
    } finally {
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(
        children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')),
      )
      ip('netns', 'delete', namespace)
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
