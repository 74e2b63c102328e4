// Flows of which a card's rules and RSS table, and the driver's queues, change in mid-flow, over a wire that
// loses frames and damages others.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { hashOf, MIB, payload, shortHash } from './payload.mjs'

const { createPool, hostProvider } = await import(`${process.env.CHECKOUT}/dist/index.js`)
const linux = await import(`${process.env.CHECKOUT}/dist/linux/index.js`)
const { bindRx, ethtool, listenDevmem, netdev, prepareQueues } = linux

const DEVMEM_PORT = 5231
const ORDINARY_PORT = 5232
const BOUND = [2, 3]
/** Source ports of the flows into device memory, and of those into pages. */
const DEVMEM_FLOWS = [6001, 6002, 6003, 6004]
const ORDINARY_FLOWS = [6005, 6006, 6007, 6008]
/** Bytes of a flow, and bytes of all flows after which the next change is made. */
const FLOW_BYTES = MIB
const CHANGE_BYTES = MIB / 4
/** Binds of one queue while others receive, at least. */
const RESTARTS = 10

const say = (line) => writeFileSync('/dev/kmsg', `netmem: ${line}`)
const hasWarned = () => readFileSync('/proc/sys/kernel/tainted', 'utf8').trim() !== '0'

/**
 * Receives flows until a damaged packet has come whose bytes the kernel cannot read. It warns once, and
 * drops the packet.
 */
export async function receiveMovedFlows(wire) {
  say('a warning is expected')
  do await receiveFlows(wire)
  while (!hasWarned())
  say('no further warning is expected')
}

/**
 * Receives four flows into two bound queues of four and four into the other two, while rules and RSS
 * change. A flow without a rule arrives in pages for a while.
 */
async function receiveFlows({ ifindex, here, other, dmabuf, memory, order, netlink }) {
  const header = { 'dev-index': ifindex }
  const tc = (...args) => execFileSync('tc', ['-n', 'peer', 'qdisc', ...args])
  tc('add', 'dev', other, 'root', 'netem', 'loss', '1%', 'corrupt', '1%')
  const prepared = await prepareQueues({ ifindex, queues: BOUND })
  const { indir, hkey } = await netlink.do(ethtool, 'rss-get', { header })
  const binding = await bindRx({ ifindex, queues: BOUND, dmabuf })
  const pool = createPool(hostProvider({ pages: 64 }))
  const listener = await listenDevmem({ pool, binding, port: DEVMEM_PORT })

  const rules = new Map()
  const steer = async (sourcePort, queue) => {
    const flow = { type: 'tcp4', sourcePort, destinationPort: DEVMEM_PORT, queue }
    rules.set(sourcePort, await prepared.steer(flow))
  }
  const unsteer = (sourcePort) => prepared.unsteer(rules.get(sourcePort))
  for (const [at, port] of DEVMEM_FLOWS.entries()) await steer(port, BOUND[at % 2])

  // Each change meets all flows in the middle. The unbound queues stay those of all that has no rule.
  let changes = 0
  const change = async () => {
    const round = changes++
    const port = DEVMEM_FLOWS[round % DEVMEM_FLOWS.length]
    await unsteer(port)
    const table = indir.map((_, at) => (at >> (round % 3)) % 2)
    const key = hkey.map((byte) => (byte + round * 37) & 0xff)
    await netlink.do(ethtool, 'rss-set', { header, indir: table, hkey: key })
    await steer(port, BOUND[(round + (round >> 2)) % 2])
  }
  let received = 0
  let changing = Promise.resolve()
  const count = (bytes) => {
    const due = Math.floor((received + bytes) / CHANGE_BYTES) - Math.floor(received / CHANGE_BYTES)
    received += bytes
    for (let left = due; left > 0; left--) changing = changing.then(change)
  }

  const hashes = []
  const server = net.createServer((socket) => {
    const hash = createHash('sha256')
    socket.on('data', (chunk) => {
      hash.update(chunk)
      count(chunk.length)
    })
    socket.on('end', () => hashes.push(shortHash(hash)))
  })
  await once(server.listen(ORDINARY_PORT, here), 'listening')
  const to = (port) => (localPort) =>
    order('send', { host: here, port, bytes: FLOW_BYTES, localPort })
  const sent = [...DEVMEM_FLOWS.map(to(DEVMEM_PORT)), ...ORDINARY_FLOWS.map(to(ORDINARY_PORT))]
  const totals = { device: 0, linear: 0 }
  const receive = async (connection) => {
    const hash = createHash('sha256')
    for await (const frag of connection) {
      hash.update(
        frag.kind === 'page' ? frag.bytes : memory.subarray(frag.offset, frag.offset + frag.length),
      )
      count(frag.length)
      frag.release()
    }
    hashes.push(shortHash(hash))
    const { device_bytes, linear_bytes } = connection.stats()
    totals.device += device_bytes
    totals.linear += linear_bytes
    await connection.close()
  }
  const receiving = []
  for (const _ of DEVMEM_FLOWS) receiving.push(receive(await listener.accept()))
  await Promise.all(receiving)
  assert.deepEqual(await Promise.all(sent), Array(sent.length).fill('closed'))
  await changing
  assert.deepEqual(hashes, Array(sent.length).fill(hashOf(payload.subarray(0, FLOW_BYTES))))
  assert.ok(changes > 16, `${changes} changes`)
  // Most arrived in device memory, and some while a flow had no rule.
  assert.equal(totals.device + totals.linear, DEVMEM_FLOWS.length * FLOW_BYTES)
  assert.ok(totals.device > 0)

  server.close()
  await listener.close()
  binding.close()
  await netlink.do(ethtool, 'rss-set', { header, hkey })
  await prepared.undo()
  await pool.destroy()
  tc('delete', 'dev', other, 'root')
  return { changes, ...totals }
}

/** Takes all that arrives, in a thread of its own: requests of netlink hold up the one that binds. */
const SINK = `
const net = require('node:net')
const { parentPort, workerData } = require('node:worker_threads')
let left = 3
for (const port of [5241, 5242, 5243]) {
  const server = net.createServer((socket) => socket.resume().on('error', () => {}))
  server.listen(port, workerData, () => --left || parentPort.postMessage('listening'))
}
`

/** Binds one queue and unbinds it, again and again, while a flow arrives at each of the others. */
export async function restartBesideFlows({ ifindex, here, dmabuf, order, netlink }) {
  const flows = [1, 2].map((queue) => ({ type: 'tcp4', destinationPort: 5241 + queue, queue }))
  // The flow of the first port has no rule, and queue 0 is the one of the table.
  const prepared = await prepareQueues({ ifindex, queues: [1, 2, 3], flows })
  const sink = new Worker(SINK, { eval: true, workerData: here })
  await once(sink, 'message')
  for (const port of [5241, 5242, 5243]) await order('flood', { host: here, port })

  /** Packets of the receive queues, which a queue counts from its start. */
  const packets = async () => {
    const dump = await netlink.dump(netdev, 'qstats-get', { ifindex, scope: ['queue'] })
    const rx = dump.replies.filter((each) => each['queue-type'] === 'rx')
    return [0, 1, 2].map((id) => Number(rx.find((each) => each['queue-id'] === id)['rx-packets']))
  }
  const moved = (before, after) => before.map((count, queue) => after[queue] - count)
  const flowing = async () => {
    const before = await packets()
    while (moved(before, await packets()).some((count) => count < 50)) await pause(20)
  }
  await flowing()
  // Repeats until each of the others has received within a bind, which one that stands still never would.
  const during = [0, 0, 0]
  for (let round = 0; round < RESTARTS || during.includes(0); round++) {
    const before = await packets()
    const binding = await bindRx({ ifindex, queues: [3], dmabuf })
    binding.close()
    for (const [queue, count] of moved(before, await packets()).entries()) {
      assert.ok(count >= 0, `queue ${queue} was restarted, too`)
      during[queue] += count
    }
  }
  await flowing()

  await order('stop')
  await sink.terminate()
  await prepared.undo()
  return during
}
