// Transfers of devmem sockets besides the first ones: over IPv6, in memory of a heap, with little room for
// completions, and by a program of the examples.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { hashOf, hashReceived, MIB, payload } from './payload.mjs'
import { codeOf, HANG_MS, within } from './waiting.mjs'
import {
  card,
  HERE,
  HERE_IPV6,
  ifindex,
  listening,
  order,
  other,
  THERE,
  THERE_IPV6,
} from './wire.mjs'

const checkout = process.env.CHECKOUT
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const linux = await import(`${checkout}/dist/linux/index.js`)
const sys = await import(`${checkout}/dist/linux/sys/index.js`)
const { adoptDevmem, bindRx, bindTx, connectDevmem, listenDevmem, prepareQueues } = linux

const OPTMEM = '/proc/sys/net/core/optmem_max'
/** Room for a few notices of completed sends. */
const FEW = 8192

/** Receives into device memory and sends out of it, over IPv6. */
export async function transferOverIpv6({ dmabuf, memory }) {
  const pool = createPool(hostProvider({ pages: 16 }))
  const flows = [{ type: 'tcp6', destinationPort: 5211 }]
  const prepared = await prepareQueues({ ifindex, queues: [3], flows })
  const binding = await bindRx({ ifindex, queues: [3], dmabuf })
  const listener = await listenDevmem({ pool, binding, host: HERE_IPV6, port: 5211, strict: true })
  const sent = order('send', { host: HERE_IPV6, port: 5211, bytes: payload.length })
  const connection = await within(HANG_MS, 'accept', listener.accept())
  assert.equal(await hashReceived(connection, memory), hashOf(payload))
  assert.equal(connection.stats().device_bytes, payload.length)
  await connection.close()
  assert.equal(await sent, 'closed')
  await listener.close()
  binding.close()
  await prepared.undo()
  await sendAll({ dmabuf, memory, pool, host: THERE_IPV6 })
  await pool.destroy()
}

/** Receives on a descriptor that other code has accepted. */
export async function receiveAdopted({ dmabuf, memory }) {
  const PORT = 5213
  const pool = createPool(hostProvider({ pages: 16 }))
  const flows = [{ type: 'tcp4', destinationPort: PORT }]
  const prepared = await prepareQueues({ ifindex, queues: [3], flows })
  const binding = await bindRx({ ifindex, queues: [3], dmabuf })
  const listener = sys.socket(sys.AF_INET, sys.SOCK_STREAM | sys.SOCK_NONBLOCK)
  sys.bind(listener.fd, sys.inetAddress(HERE, PORT))
  sys.listen(listener.fd, 1)
  const sent = order('send', { host: HERE, port: PORT, bytes: payload.length })
  let accepted
  while (accepted === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    accepted = sys.accept4(listener.fd, 0)
  }
  const connection = adoptDevmem({ fd: accepted.release(), pool, binding, strict: true })
  assert.equal(await hashReceived(connection, memory), hashOf(payload))
  const { device_bytes, linear_bytes } = connection.stats()
  assert.deepEqual([device_bytes, linear_bytes], [payload.length, 0])
  await connection.close()
  assert.equal(await sent, 'closed')
  listener.close()
  binding.close()
  await prepared.undo()
  await pool.destroy()
}

/** Sends the payload in small pieces, whose completions the kernel has room for few of. */
export async function sendWithLittleRoom({ dmabuf, memory }) {
  const pool = createPool(hostProvider({ pages: 16 }))
  const before = readFileSync(OPTMEM, 'utf8')
  writeFileSync(OPTMEM, '1')
  const refused = sendAll({ dmabuf, memory, pool, host: THERE })
  assert.equal(await codeOf(refused), 'NETMEM_DEVMEM_SEND_LIMIT')
  writeFileSync(OPTMEM, `${FEW}`)
  await sendAll({ dmabuf, memory, pool, host: THERE })
  writeFileSync(OPTMEM, before)
  await pool.destroy()
}

async function sendAll({ dmabuf, memory, pool, host }) {
  const PIECE = 16_384
  memory.set(payload)
  const ready = listening(5311)
  const received = order('receive', { port: 5311 })
  await ready
  const binding = await bindTx({ ifindex, dmabuf })
  const connection = await connectDevmem({ pool, binding, host, port: 5311 })
  const sends = []
  for (let at = 0; at < payload.length; at += PIECE) {
    sends.push(connection.sendDevice(binding, at, PIECE))
  }
  try {
    await within(HANG_MS, 'sendDevice', Promise.all(sends))
  } finally {
    await connection.close()
    binding.close()
    await received
  }
  assert.ok(connection.stats().completions >= sends.length)
  assert.equal(await received, `${payload.length} ${hashOf(payload)}`)
}

/** Has the commands send from a heap's memory, and receive into such. */
export async function transferInHeaps({ cli, output }) {
  const program = [process.execPath, `${checkout}/dist/cli/main.js`]
  const memory = ['--dmabuf', 'heap:system', '--size', '4MiB']
  const data = ['--bytes', '1MiB', '--pattern', '1', '--json']
  const queue = ['--queues', '3', '--port', '5212', '--host', HERE]
  const received = cli('devmem', 'recv', card, ...queue, '--once', '--sha256', ...memory, ...data)
  let isOver = false
  const ended = received.finally(() => {
    isOver = true
  })
  // The receiver is late, since it begins at the same time.
  const send = async () => {
    for (;;) {
      const words = ['devmem', 'send', other, `${HERE}:5212`, ...memory, ...data]
      const sent = await output('ip', 'netns', 'exec', 'peer', ...program, ...words).catch(String)
      if (!sent.includes('NETMEM_CONNECT_FAILED')) return sent
      assert.ok(!isOver, 'the receiver has ended before')
    }
  }
  const [text, sent] = await Promise.all([ended, send()])
  const report = JSON.parse(text.trim().split('\n').at(-1))
  assert.deepEqual([report.exitCode, report.bytes], [0, MIB], `${text}\n${sent}`)
}

/** Runs a program of the examples, which prepares the card, and receives one connection. */
export async function receiveByExample({ output }) {
  const sent = order('send', { host: HERE, port: 5201, bytes: MIB })
  const text = await output(
    process.execPath,
    `${checkout}/build/examples/devmem-receiver.js`,
    `${ifindex}`,
    '3',
  )
  assert.equal(await sent, 'closed')
  assert.match(text, /^listening on 5201, 1 rules\n\d+ bytes at \d+\n/)
  assert.match(text, new RegExp(`\\nqueue 3 {\\s+device_bytes: ${MIB},\\s+linear_bytes: 0,`))
}

/** Kills a process while it sends out of device memory. */
export async function killSender() {
  const ready = listening(5312)
  const taken = order('take', { port: 5312 })
  await ready
  const facts = JSON.stringify({ checkout, ifindex, host: THERE, port: 5312 })
  const child = spawn(process.execPath, ['sender.mjs', facts], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const [word] = await within(HANG_MS, 'the sender', once(child, 'message'))
  assert.equal(word, 'sending')
  child.kill('SIGKILL')
  await exited
  assert.equal(await taken, 'over')
}
