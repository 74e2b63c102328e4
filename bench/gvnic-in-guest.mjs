/**
 * Runs in the guest of `npm run bench gvnic`: receivers for the host to send to, one after the other, and
 * then senders. Prints a line of JSON with the bytes that came in host memory.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'

const { host, guest, mtu, rounds, sendBytes, ports } = JSON.parse(process.argv[2])
const checkout = process.env.CHECKOUT
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const linux = await import(`${checkout}/dist/linux/index.js`)
const { bindRx, bindTx, connectDevmem, createUdmabuf, listenDevmem, prepareQueues } = linux

const QUEUE = 1
const MIB = 2 ** 20
const pool = createPool(hostProvider({ pages: 64, pageSize: 64 * 1024 }))

const run = (command, ...args) => execFileSync(command, args, { stdio: 'inherit' })
const card = readdirSync('/sys/class/net').find((name) => {
  try {
    return readlinkSync(`/sys/class/net/${name}/device/driver`).endsWith('/gve')
  } catch {
    return false
  }
})
const ifindex = Number(readFileSync(`/sys/class/net/${card}/ifindex`, 'utf8'))

run('ip', 'link', 'set', card, 'mtu', String(mtu))
run('ip', 'addr', 'add', `${guest}/24`, 'dev', card)
run('ip', 'link', 'set', card, 'up')
const { ETHTOOL } = process.env
const libraries = `${ETHTOOL}/usr/lib/x86_64-linux-gnu`
const loader = `${ETHTOOL}/usr/lib64/ld-linux-x86-64.so.2`
const ethtool = ['--library-path', libraries, `${ETHTOOL}/usr/sbin/ethtool`]
run(loader, ...ethtool, '-K', card, 'ntuple', 'on', 'rx-gro-hw', 'on')

/** Receives as many connections as there are rounds. Resolves with the bytes that came in host memory. */
async function receive(listener) {
  let linear = 0
  for (let round = 0; round < rounds.receive; round++) {
    const connection = await listener.accept()
    for await (const frag of connection) {
      if (frag.kind === 'page') linear += frag.length
      frag.release()
    }
    await connection.close()
  }
  return linear
}

async function received() {
  const flows = [ports.netmem, ports.c].map((destinationPort) => ({
    type: 'tcp4',
    destinationPort,
  }))
  const dmabuf = createUdmabuf({ bytes: 16 * MIB })
  const prepared = await prepareQueues({ ifindex, queues: [QUEUE], flows })
  const binding = await bindRx({ ifindex, queues: [QUEUE], dmabuf })
  const listener = await listenDevmem({ pool, binding, port: ports.netmem, strict: true })
  const socat = spawn('socat', [
    ...['-u', '-b', '262144', `TCP-LISTEN:${ports.socat},fork,reuseaddr`, 'OPEN:/dev/null'],
  ])
  const c = spawn(`${process.cwd()}/receiver`, [String(ports.c), String(rounds.receive)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  console.error('ready')
  const [netmem, cLinear] = await Promise.all([receive(listener), text(c.stdout)])
  socat.kill()
  await listener.close()
  binding[Symbol.dispose]()
  await prepared.undo()
  dmabuf.close()
  return { netmem, c: Number(cLinear) }
}

async function sendDevice(binding) {
  const connection = await connectDevmem({ pool, binding, host, port: ports.send })
  const slots = 16
  const sent = []
  for (let at = 0; at < sendBytes / MIB; at++) {
    if (at >= slots) await sent[at - slots]
    sent.push(connection.sendDevice(binding, (at % slots) * MIB, MIB))
  }
  await Promise.all(sent)
  await connection.close()
}

async function sent() {
  const dmabuf = createUdmabuf({ bytes: 16 * MIB })
  const binding = await bindTx({ ifindex, dmabuf })
  writeFileSync('/tmp/zeros', '')
  truncateSync('/tmp/zeros', sendBytes)
  // The file's pages exist from here on.
  readFileSync('/tmp/zeros')
  for (let round = 0; round < rounds.send; round++) {
    await sendDevice(binding)
    // socat reads too, so it ends when the host has received all: with -u it would leave a part in its
    // socket, which would arrive during the next turn.
    const file = 'OPEN:/tmp/zeros,rdonly!!OPEN:/dev/null,wronly'
    const where = `TCP:${host}:${ports.send}`
    await once(spawn('socat', ['-b', '262144', '-t', '60', file, where]), 'exit')
  }
  binding[Symbol.dispose]()
  dmabuf.close()
}

const linear = await received()
await sent()
console.log(JSON.stringify({ linear }))
process.exit(0)
