// Devmem sockets over two wired cards, judged from inside of the guest. Each step prints its name.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  bringBack,
  closeInEveryOrder,
  endThreadsInEveryOrder,
  removeInEveryOrder,
} from './ends.mjs'
import { receiveInContainer } from './leased-queue.mjs'
import { receiveMovedFlows, restartBesideFlows } from './moved-flows.mjs'
import { hashOf, hashReceived, MIB, payload, shortHash } from './payload.mjs'
import { receiveWithoutRights } from './prepared-card.mjs'
import {
  killSender,
  receiveAdopted,
  receiveByExample,
  sendWithLittleRoom,
  transferInHeaps,
  transferOverIpv6,
} from './transfers.mjs'
import { codeOf, HANG_MS, within } from './waiting.mjs'
import { card, device, HERE, ifindex, listening, order, other, peer, THERE } from './wire.mjs'

const checkout = process.env.CHECKOUT
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const linux = await import(`${checkout}/dist/linux/index.js`)
const { bindRx, bindTx, connectDevmem, createUdmabuf, DmaBuf, listenDevmem } = linux
const { sealedMemfd } = await import(`${checkout}/dist/linux/dma-buf/udmabuf.js`)
const { netdev, openNetlink, prepareQueues } = linux

const started = performance.now()
const seconds = () => ((performance.now() - started) / 1000).toFixed(1)
async function step(name, action) {
  try {
    await action()
    console.log(`${name} (${seconds()} s)`)
  } catch (error) {
    process.exitCode = 1
    console.log(`FAILED ${name} (${seconds()} s)`, error)
  }
}

const netlink = await openNetlink()
/**
 * Has each processor receive a packet. Before, it may keep packets that others have freed for it, and the
 * device memory in them (K: net/core/skbuff.c, `skb_attempt_defer_free`).
 */
function wakeProcessors() {
  for (let processor = 0; processor < availableParallelism(); processor++) {
    execFileSync('taskset', ['-c', `${processor}`, 'bash', '-c', 'echo >/dev/udp/127.0.0.1/9'])
  }
}
/** Waits until no page pool and no queue of the card knows a binding. */
async function unbound() {
  for (let look = 1; ; look++) {
    const pools = await netlink.dump(netdev, 'page-pool-get')
    const queues = await netlink.dump(netdev, 'queue-get')
    const all = [...pools.replies, ...queues.replies]
    if (all.every((each) => each.dmabuf === undefined)) return
    if (look % 10 === 0) wakeProcessors()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const flows = [5201, 5202, 5203].map((destinationPort) => ({ type: 'tcp4', destinationPort }))
const dmabuf = createUdmabuf({ bytes: 8 * MIB })
const mapping = dmabuf.map()
const memory = mapping.bytes
const openPool = () => createPool(hostProvider({ pages: 16 }))
const pool = openPool()

await step('refusals', async () => {
  const refused = (parts) => codeOf(bindRx({ ifindex, queues: [2], dmabuf, ...parts }))
  assert.equal(await refused({}), 'NETMEM_DEVMEM_SPLIT_OFF')
  assert.equal(await refused({ queues: [4] }), 'NETMEM_DEVMEM_QUEUE')
  assert.equal(await refused({ ifindex: 7777 }), 'NETMEM_DEVMEM_NO_INTERFACE')
})

const prepared = await prepareQueues({ ifindex, queues: [2, 3], flows })
assert.equal(
  (await netlink.dump(netdev, 'queue-get', { ifindex })).replies.filter(({ type }) => type === 'rx')
    .length,
  4,
)

await step('double bind', async () => {
  const binding = await bindRx({ ifindex, queues: [2, 3], dmabuf })
  // EEXIST, "designated queue already memory provider bound", for one queue of several too.
  for (const queues of [[2], [3, 1]]) {
    assert.equal(await codeOf(bindRx({ ifindex, queues, dmabuf })), 'NETMEM_DEVMEM_BOUND')
  }
  // A descriptor of something else.
  const file = new DmaBuf({ exporter: 'none', bytes: MIB, descriptor: sealedMemfd(MIB, false) })
  const foreign = bindRx({ ifindex, queues: [1], dmabuf: file })
  assert.equal(await codeOf(foreign), 'NETMEM_NOT_A_DMABUF')
  assert.equal(await codeOf(bindTx({ ifindex, dmabuf: file })), 'NETMEM_NOT_A_DMABUF')
  file.close()
  const another = await bindRx({ ifindex, queues: [1], dmabuf })
  assert.notEqual(another.id, binding.id)
  another.close()
  binding.close()
  await bindRx({ ifindex, queues: [3, 2], dmabuf }).then((again) => again.close())
})

await step('receive', async () => {
  const binding = await bindRx({ ifindex, queues: [2, 3], dmabuf })
  const listener = await listenDevmem({ pool, binding, port: 5201, strict: true })
  const sent = order('send', { host: HERE, port: 5201, bytes: payload.length })
  const connection = await within(HANG_MS, 'accept', listener.accept())
  const hash = createHash('sha256')
  for await (const frag of connection) {
    assert.equal(frag.kind, 'net_iov')
    assert.equal(frag.binding, binding)
    hash.update(memory.subarray(frag.offset, frag.offset + frag.length))
    frag.release()
  }
  assert.equal(shortHash(hash), hashOf(payload))
  assert.equal(await connection.queue(), 2)
  const { device_bytes, linear_bytes } = connection.stats()
  assert.deepEqual([device_bytes, linear_bytes], [payload.length, 0])
  await connection.close()
  assert.equal(connection.stats().tokens_out, 0)
  assert.equal(await sent, 'closed')
  await listener.close()
  binding.close()
})

await step('receive into huge pages', async () => {
  const reserve = (pages) => writeFileSync('/proc/sys/vm/nr_hugepages', `${pages}`)
  const free = () => /^HugePages_Free: +(\d+)$/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]
  const back = async () => {
    while (free() !== '2') await new Promise((resolve) => setTimeout(resolve, 50))
  }
  reserve(2)
  const huge = createUdmabuf({ bytes: 4 * MIB, hugePages: true })
  const large = { ifindex, queues: [3], rxPageSize: 16_384 }
  // The kernel looks at the memory first, and then asks the driver.
  assert.equal(await codeOf(bindRx({ ...large, dmabuf: huge })), 'NETMEM_DEVMEM_PAGE_SIZE')
  const binding = await bindRx({ ifindex, queues: [3], dmabuf: huge })
  const view = huge.map()
  const listener = await listenDevmem({ pool, binding, port: 5202, strict: true })
  const sent = order('send', { host: HERE, port: 5202, bytes: payload.length })
  const connection = await within(HANG_MS, 'accept', listener.accept())
  assert.equal(await hashReceived(connection, view.bytes), hashOf(payload))
  assert.equal(connection.stats().device_bytes, payload.length)
  await connection.close()
  assert.equal(await sent, 'closed')
  await listener.close()
  assert.equal(free(), '0')
  binding.close()
  view.unmap()
  huge.close()
  await within(HANG_MS, 'the kernel unbinds', unbound())
  // Huge pages go back a moment after the queue has released them.
  await within(HANG_MS, 'the huge pages come back', back())
  reserve(0)
})

await step('send', async () => {
  const binding = await bindTx({ ifindex, dmabuf })
  memory.set(payload, MIB)
  const ready = listening(5300)
  const received = order('receive', { port: 5300 })
  await ready
  const connection = await connectDevmem({ pool, binding, host: THERE, port: 5300 })
  await within(
    HANG_MS,
    'sendDevice',
    Promise.all([
      connection.sendDevice(binding, MIB, MIB),
      connection.sendDevice(binding, 2 * MIB, 3 * MIB),
      connection.write('end'),
    ]),
  )
  const { completions, copied } = connection.stats()
  assert.ok(completions >= 4)
  assert.equal(copied, 0)
  await connection.close()
  binding.close()
  const all = Buffer.concat([payload, Buffer.from('end')])
  assert.equal(await received, `${all.length} ${hashOf(all)}`)
})

await step('closes in every order', () => closeInEveryOrder({ dmabuf, unbound }))

const facts = { checkout, ifindex, queue: 3, port: 5202 }
/** Runs `end` while a receiver is in the middle of a transfer, and awaits that the kernel is clean. */
async function inMidTransfer(receiver, end) {
  const word = async () => (await within(HANG_MS, 'the receiver', once(receiver, 'message')))[0]
  assert.equal((await word()).kind, 'bound')
  assert.equal(await codeOf(bindRx({ ifindex, queues: [3], dmabuf })), 'NETMEM_DEVMEM_BOUND')
  // The receiver's word may overtake the peer's answer.
  const [{ kind, device }] = await Promise.all([word(), order('flood', { host: HERE, port: 5202 })])
  assert.equal(kind, 'receiving')
  assert.ok(device > 0)
  const exited = once(receiver, 'exit')
  await end()
  await within(HANG_MS, 'the receiver ends', exited)
  await order('stop')
  await within(HANG_MS, 'the kernel unbinds', unbound())
  // The queue is free at once.
  await bindRx({ ifindex, queues: [3], dmabuf }).then((binding) => binding.close())
}

await step('worker terminated in mid-transfer', async () => {
  const before = readdirSync('/proc/self/fd').length
  const worker = new Worker(new URL('./receiver.mjs', import.meta.url), { workerData: facts })
  await inMidTransfer(worker, () => worker.terminate())
  assert.equal(readdirSync('/proc/self/fd').length, before)
})

await step('process killed in mid-transfer', async () => {
  const child = spawn(process.execPath, ['receiver.mjs', JSON.stringify(facts)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await inMidTransfer(child, () => child.kill('SIGKILL'))
})

/** Runs a program to its end, and returns what it prints. */
async function output(program, ...args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (more) => {
    text += more
  })
  child.stderr.setEncoding('utf8').on('data', (more) => {
    errors += more
  })
  const [code] = await within(HANG_MS, args.join(' '), once(child, 'close'))
  assert.equal(code, 0, `${text}\n${errors}`)
  return text
}
const cli = (...args) => output(process.execPath, `${checkout}/dist/cli/main.js`, ...args)

// Programs and the next steps prepare the card themselves.
await prepared.undo()

const transfers = { dmabuf, memory, cli, output }
for (const [name, action] of [
  ['IPv6', transferOverIpv6],
  ['a descriptor that was accepted elsewhere', receiveAdopted],
  ['little room for completions', sendWithLittleRoom],
  ['memory of heaps, by the commands', transferInHeaps],
  ['examples/devmem-receiver.ts', receiveByExample],
  ['sender killed in mid-transfer', killSender],
]) {
  await step(name, async () => {
    await within(2 * HANG_MS, name, action(transfers))
    await within(HANG_MS, 'the kernel unbinds', unbound())
  })
}

await step('netmem iperf3 --memory devmem', async () => {
  const device = ['--memory', 'devmem', '--interface', card, '--queues', '2,3']
  let isOver = false
  const served = cli('iperf3', '--host', HERE, '--once', '--json', ...device).finally(() => {
    isOver = true
  })
  const client = ['netns', 'exec', 'peer', 'iperf3', '-c', HERE, '-n', '4M', '-P', '2', '-l', '64K']
  const connected = async () => {
    for (;;) {
      const [code] = await once(spawn('ip', client, { stdio: 'ignore' }), 'exit')
      if (code === 0) return
      assert.ok(!isOver, 'the server ended, and no client has succeeded')
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }
  const [text] = await Promise.all([served, connected()])
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const { devmem } = lines.at(-1)
  const { device_bytes, linear_bytes } = devmem
  // A client that has two streams may send a part of a block more than it was told.
  const { bytes, sender } = lines.find(({ event }) => event === 'test')
  assert.ok(bytes >= 4 * MIB, JSON.stringify(lines))
  assert.deepEqual([device_bytes, sender.bytes], [bytes, bytes])
  // Cookies of both streams.
  assert.equal(linear_bytes, 2 * 37)
})

await step('a thread for each of two queues of four', async () => {
  const sends = [5201, 5201, 5202, 5202].map((port) =>
    order('send', { host: HERE, port, bytes: MIB }),
  )
  const ordinary = net.createServer((socket) => socket.resume()).listen(5400, HERE)
  sends.push(order('send', { host: HERE, port: 5400, bytes: MIB }))
  const example = `${checkout}/build/examples/devmem-queues.js`
  const text = await output(process.execPath, example, `${ifindex}`, '2', '2', '3')
  assert.deepEqual(await Promise.all(sends), Array(5).fill('closed'))
  ordinary.close()
  const lines = text.trim().split('\n').sort()
  assert.deepEqual(
    lines,
    [2, 2, 3, 3].map((queue) => `queue ${queue}: ${MIB} bytes, 0 in pages`),
  )
})

const wire = { ifindex, here: HERE, other, dmabuf, memory, order, netlink, cli, unbound }
for (const [name, action] of [
  ['a prepared card, a process without rights, a kill, and undo', receiveWithoutRights],
  ['one queue restarted while others receive', restartBesideFlows],
  ['a leased queue in a container without rights', receiveInContainer],
  [
    'rules and RSS changed in mid-flow, over a wire that loses and damages frames',
    receiveMovedFlows,
  ],
]) {
  await step(name, async () => {
    await within(2 * HANG_MS, name, action(wire))
    await within(HANG_MS, 'the kernel unbinds', unbound())
  })
}

await step('driver unbound in mid-transfer', async () => {
  const prepared = await prepareQueues({ ifindex, queues: [2, 3], flows })
  const binding = await bindRx({ ifindex, queues: [2, 3], dmabuf })
  const listener = await listenDevmem({ pool, binding, port: 5202 })
  await order('flood', { host: HERE, port: 5202 })
  const connection = await within(HANG_MS, 'accept', listener.accept())
  const held = []
  while (held.length < 50) held.push(await within(HANG_MS, 'receive', connection.receive()))
  const drained = (async () => {
    for await (const frag of connection) frag.release()
  })()
  const accepting = listener.accept()
  writeFileSync('/sys/bus/pci/drivers/gve/unbind', basename(readlinkSync(device(card))))
  assert.equal(await codeOf(drained), 'NETMEM_DEVMEM_NO_INTERFACE')
  assert.equal(await codeOf(accepting), 'NETMEM_DEVMEM_NO_INTERFACE')
  assert.equal(connection.state.kind, 'failed')
  for (const frag of held) frag.release()
  await within(HANG_MS, 'closed', connection.closed)
  connection.flush()
  assert.equal(connection.stats().tokens_out, 0)
  binding.close()
  await listener.close()
  await prepared.undo()
  await within(HANG_MS, 'the kernel unbinds', unbound())
})

let now = bringBack()
await step('the driver goes before, between and behind all ends', async () => {
  now = await removeInEveryOrder({ dmabuf, unbound }, now)
})
await step('a thread goes before, between and behind all ends', () =>
  endThreadsInEveryOrder({ unbound }, now),
)

mapping.unmap()
dmabuf.close()
netlink.close()
await pool.destroy()
peer.disconnect()
console.log('end')
// A failed step may have left things that would keep the guest running.
process.exit()
