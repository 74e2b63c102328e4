// Receives one body over HTTP, in Node.js, Deno or Bun, as each of them does it best, and prints its
// speed, peak memory and CPU as JSON:
//
//   RUNTIME runtime-peer.mjs fetch | discard | netmem-discard URL BYTES
//
// `fetch` brings the body to memory. The others take it as a plain TCP stream, and drop it.
import { readFileSync } from 'node:fs'
import net from 'node:net'
import process from 'node:process'

const [way, address, size] = process.argv.slice(2)
const bytes = Number(size)
const { hostname, port, pathname } = new URL(address)
const request = `GET ${pathname} HTTP/1.0\r\n\r\n`
const READ_BYTES = 256 * 1024

async function fetched() {
  const body = await (await fetch(address)).arrayBuffer()
  return body.byteLength
}

async function discardedByDeno() {
  const connection = await Deno.connect({ hostname, port: Number(port) })
  await connection.write(new TextEncoder().encode(request))
  const buffer = new Uint8Array(READ_BYTES)
  let received = 0
  for (let read = 0; read !== null; read = await connection.read(buffer)) received += read
  connection.close()
  return received
}

function discardedByBun() {
  return new Promise((resolve, reject) => {
    let received = 0
    const socket = {
      open: (connection) => connection.write(request),
      data: (_connection, chunk) => {
        received += chunk.byteLength
      },
      close: () => resolve(received),
      end: (connection) => connection.end(),
      error: (_connection, error) => reject(error),
    }
    Bun.connect({ hostname, port: Number(port), socket }).catch(reject)
  })
}

function discardedByNode() {
  return new Promise((resolve, reject) => {
    let received = 0
    const socket = net.connect(Number(port), hostname).on('error', reject)
    socket.on('data', (chunk) => {
      received += chunk.length
    })
    socket.on('end', () => resolve(received))
    socket.write(request)
  })
}

async function discardedByNetmem() {
  const { createPool, hostProvider } = await import('netmem')
  const { connect } = await import('netmem/net')
  const { wakeBatching } = await import('netmem/linux')
  const pool = createPool(hostProvider({ pages: 4, pageSize: 4 * 1024 * 1024 }))
  const options = { pool, host: hostname, port: Number(port), wakeBatching: await wakeBatching() }
  return async () => {
    const connection = await connect(options)
    await connection.write(request)
    let received = 0
    for await (const frag of connection) {
      received += frag.length
      frag.release()
    }
    await connection.close()
    return received
  }
}

function discarded() {
  if ('Deno' in globalThis) return discardedByDeno
  return 'Bun' in globalThis ? discardedByBun : discardedByNode
}

const ways = {
  fetch: async () => fetched,
  discard: async () => discarded(),
  'netmem-discard': discardedByNetmem,
}

/** Kilobytes of this process, by their name in proc(5). */
function memory(name) {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1])
}

/** Seconds of a core that this process has used, in ticks of 10 ms. */
function cpuSeconds() {
  const [, rest] = readFileSync('/proc/self/stat', 'utf8').split(') ')
  const fields = rest.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const receive = await ways[way]()
const [base, cpu, startedAt] = [memory('VmRSS'), cpuSeconds(), performance.now()]
const received = await receive()
const seconds = (performance.now() - startedAt) / 1000
// A TCP stream includes the response's head.
if (way === 'fetch' ? received !== bytes : received < bytes) throw new Error(`${received} bytes`)
const sample = {
  gbPerS: bytes / 1e9 / seconds,
  peakRatio: ((memory('VmHWM') - base) * 1024) / bytes,
  cpuPerGb: (cpuSeconds() - cpu) / (bytes / 1e9),
}
console.log(JSON.stringify(sample))
process.exit(0)
