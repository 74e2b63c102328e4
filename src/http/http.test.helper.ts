/** Helpers of the tests of transfers: servers with scripted responses. Not published. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { randomBytes } from '../testing/random-bytes.test.helper.ts'
import { ConnectionCache } from './client/connection-cache.ts'
import { headPool } from './transfer/head-pool.ts'
import type { GetOptions } from './transfer/options.ts'

export { codeOf, failure } from '../testing/fails-with.test.helper.ts'
export { sha256 } from '../testing/sha256.test.helper.ts'

/** A body whose bytes do not repeat in any way that would hide a mistake. */
export const content: Buffer = randomBytes(3_000_017, 7)

/** Fails unless memory begins with `expected`. */
export function begins(memory: Uint8Array | ArrayBufferLike, expected: Uint8Array): void {
  const bytes = memory instanceof Uint8Array ? memory : new Uint8Array(memory)
  assert.equal(Buffer.compare(bytes.subarray(0, expected.byteLength), expected), 0, 'the bytes')
}

/** A server, gone when disposed of. */
export interface TestServer extends AsyncDisposable {
  /** Ends with a slash. */
  readonly url: string
  /** Connections that it has had. */
  readonly connections: () => number
}

/** A server of Node's own. */
export async function serve(
  handler: (request: http.IncomingMessage, response: http.ServerResponse) => void,
): Promise<TestServer> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handler)
  return listening(server)
}

/** A server that answers by hand: `speak` gets each connection, and each request's head. */
export async function serveRaw(
  speak: (socket: net.Socket, request: string, count: number) => void,
): Promise<TestServer> {
  let count = 0
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end + 4)
        text = text.slice(end + 4)
        speak(socket, request, ++count)
      }
    })
  })
  return listening(server)
}

export async function listening(server: net.Server, scheme = 'http'): Promise<TestServer> {
  const sockets = new Set<net.Socket>()
  let connections = 0
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    url: `${scheme}://127.0.0.1:${address.port}/`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Answers from `bytes` as a good server does: ranges, validators, If-Range. */
export function ranged(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  bytes: Buffer = content,
  etag = '"1"',
): void {
  const headers = { etag, 'accept-ranges': 'bytes' }
  const ifRange = request.headers['if-range']
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  if (match === null || (ifRange !== undefined && ifRange !== etag)) {
    response.writeHead(200, { ...headers, 'content-length': bytes.length })
    response.end(bytes)
    return
  }
  const first = Number(match[1])
  const last = Math.min(match[2] === '' ? Infinity : Number(match[2]), bytes.length - 1)
  if (first > last) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${bytes.length}` }).end()
    return
  }
  response.writeHead(206, {
    ...headers,
    'content-range': `bytes ${first}-${last}/${bytes.length}`,
    'content-length': last - first + 1,
  })
  response.end(bytes.subarray(first, last + 1))
}

/** The number of the first byte that a raw request asks for, or 0 for all of it. */
export function firstOf(request: string): number {
  return Number(/^range: bytes=(\d+)-/im.exec(request)?.[1] ?? 0)
}

/** Quick retries, and a cache that ends with the test. */
export async function transferring(
  body: (options: GetOptions & { readonly keepAlive: ConnectionCache }) => Promise<void>,
): Promise<void> {
  const keepAlive = new ConnectionCache()
  try {
    await body({ keepAlive, retryDelayMs: 1, proxy: false })
  } finally {
    keepAlive.close()
  }
  assert.equal(headPool().stats().copied.bytes_out, 0, 'no copy is out')
  assert.equal(headPool().out, 0, 'nothing is out')
}

/** Runs `body` with a pool, of which nothing may be out then. */
export async function withPool(
  body: (pool: PagePool<Page>) => Promise<void>,
  pages = 8,
  pageSize = 65_536,
): Promise<void> {
  const pool = createPool(hostProvider({ pages, pageSize }))
  await body(pool)
  assert.equal(pool.out, 0, 'nothing is out')
  assert.equal(pool.stats().copied.bytes_out, 0, 'no copy is out')
  await pool.destroy()
  assert.equal(pool.inflight, 0)
}

/** A folder that is gone when the process is. */
const folder = mkdtempSync(join(tmpdir(), 'netmem-http-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
let paths = 0

/** A folder of its own, and what is in it. */
export function freshFolder(): {
  readonly at: (name: string) => string
  readonly names: () => string[]
} {
  const path = mkdtempSync(join(folder, `${++paths}-`))
  return { at: (name) => join(path, name), names: () => readdirSync(path).sort() }
}
