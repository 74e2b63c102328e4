// Ends of devmem sockets in every order, over the card of the guest.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Worker } from 'node:worker_threads'
import { HANG_MS, within } from './waiting.mjs'
import { card, device, HERE, ifindex, ip, order } from './wire.mjs'

const checkout = process.env.CHECKOUT
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const { bindRx, listenDevmem, prepareQueues } = await import(`${checkout}/dist/linux/index.js`)

const QUEUE = 3
const PORT = 5202
const FLOWS = [{ type: 'tcp4', destinationPort: PORT }]
const DRIVER = '/sys/bus/pci/drivers/gve'
const pci = basename(readlinkSync(device(card)))

/** Yields all orders of some names. */
function* ordersOf(names) {
  if (names.length === 0) yield []
  for (const name of names) {
    for (const rest of ordersOf(names.filter((other) => other !== name))) yield [name, ...rest]
  }
}

/** Binds, receives 8 frags of a peer that sends until `stop`, and returns what can be ended of it. */
async function receiving(dmabuf, interfaceIndex) {
  const pool = createPool(hostProvider({ pages: 16 }))
  const binding = await bindRx({ ifindex: interfaceIndex, queues: [QUEUE], dmabuf })
  const listener = await listenDevmem({ pool, binding, port: PORT })
  await order('flood', { host: HERE, port: PORT })
  const connection = await within(HANG_MS, 'accept', listener.accept())
  const frags = []
  while (frags.length < 8) frags.push(await within(HANG_MS, 'receive', connection.receive()))
  assert.ok(frags.every(({ kind }) => kind === 'net_iov'))
  const waits = [connection.closed, binding.closed]
  const ends = {
    binding: () => binding.close(),
    connection: () => waits.push(connection.close()),
    frags: () => frags.map((frag) => frag.release()),
    listener: () => waits.push(listener.close()),
    pool: () => waits.push(pool.destroy()),
  }
  const ended = async (names) => {
    await within(HANG_MS, `ends: ${names}`, Promise.all(waits))
    assert.equal(connection.stats().tokens_out, 0, names.join())
  }
  return { ends, ended }
}

/** Closes all that a receiver has, in each of the 120 orders. */
export async function closeInEveryOrder({ dmabuf, unbound }) {
  const before = readdirSync('/proc/self/fd').length
  for (const names of ordersOf(['binding', 'connection', 'frags', 'listener', 'pool'])) {
    const { ends, ended } = await receiving(dmabuf, ifindex)
    for (const name of names) ends[name]()
    await order('stop')
    await ended(names)
  }
  await within(HANG_MS, 'the kernel unbinds', unbound())
  assert.equal(readdirSync('/proc/self/fd').length, before)
}

/** Takes the driver from the card. */
const remove = () => writeFileSync(`${DRIVER}/unbind`, pci)

/** Gives the card its driver again, and returns the number of its new interface. */
export function bringBack() {
  writeFileSync(`${DRIVER}/bind`, pci)
  const [name] = readdirSync(`/sys/bus/pci/devices/${pci}/net`)
  ip('addr', 'add', `${HERE}/24`, 'dev', name)
  ip('link', 'set', name, 'up')
  return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'))
}

/** Takes the driver away before, between and behind the ends of a receiver. */
export async function removeInEveryOrder({ dmabuf, unbound }, first) {
  const before = readdirSync('/proc/self/fd').length
  let now = first
  for (const names of ordersOf(['binding', 'connection', 'frags', 'removal'])) {
    const prepared = await prepareQueues({ ifindex: now, queues: [QUEUE], flows: FLOWS })
    const { ends, ended } = await receiving(dmabuf, now)
    for (const name of names) {
      if (name === 'removal') remove()
      else ends[name]()
    }
    ends.listener()
    ends.pool()
    await order('stop')
    await ended(names)
    await prepared.undo()
    now = bringBack()
  }
  await within(HANG_MS, 'the kernel unbinds', unbound())
  assert.equal(readdirSync('/proc/self/fd').length, before)
  return now
}

/** Starts a thread that receives on demand, and ends what it is told. */
async function startReceiver() {
  const script = new URL('./ending-receiver.mjs', import.meta.url)
  const worker = new Worker(script, { workerData: { checkout, queue: QUEUE, port: PORT } })
  const word = async () => (await within(HANG_MS, 'the thread', once(worker, 'message')))[0]
  assert.equal(await word(), 'loaded')
  const say = async (message) => {
    const answer = word()
    worker.postMessage(message)
    return await answer
  }
  return { worker, word, say }
}

/**
 * Ends the thread before, between and behind the ends of its receiver. With NETMEM_SOAK above 1 the driver
 * goes, too, which takes two seconds for each order.
 */
export async function endThreadsInEveryOrder({ unbound }, first) {
  const before = readdirSync('/proc/self/fd').length
  const ends = ['binding', 'connection', 'frags', 'thread']
  if (Number(process.env.NETMEM_SOAK) > 1) ends.push('removal')
  const seen = new Set()
  let now = first
  let prepared
  let next = startReceiver()
  for (const all of ordersOf(ends)) {
    // A thread that has ended ends nothing more.
    const names = all.filter((name, at) => name === 'removal' || at <= all.indexOf('thread'))
    if (seen.has(`${names}`)) continue
    seen.add(`${names}`)
    prepared ??= await prepareQueues({ ifindex: now, queues: [QUEUE], flows: FLOWS })
    const { worker, word, say } = await next
    // The next receiver loads its modules during that wait.
    next = startReceiver()
    assert.equal(await say({ ifindex: now }), 'listening')
    const receiving = word()
    await order('flood', { host: HERE, port: PORT })
    assert.equal(await receiving, 'receiving')
    for (const name of names) {
      if (name === 'removal') remove()
      else if (name === 'thread') await within(HANG_MS, `thread: ${names}`, worker.terminate())
      else assert.equal(await say(name), name)
    }
    await order('stop')
    if (!names.includes('removal')) continue
    await prepared.undo()
    prepared = undefined
    now = bringBack()
  }
  await prepared?.undo()
  await within(HANG_MS, 'the kernel unbinds', unbound())
  await (await next).worker.terminate()
  assert.equal(readdirSync('/proc/self/fd').length, before)
}
