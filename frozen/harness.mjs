// Shared by the tests of this folder, which use entry points of the package and Node.js alone: they
// pass unchanged on every build that keeps the promises of the public API.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import tls from 'node:tls'
import { createPool, hostProvider, isNetmemError } from 'netmem'
import { connect, listen } from 'netmem/net'
import { copiedBytesOut } from './names.mjs'

const folder = mkdtempSync(join(tmpdir(), 'netmem-frozen-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
let paths = 0

/** Returns a path that does not exist yet, in a folder that is removed at the end. */
export const freshPath = () => join(folder, `${++paths}`)

const HANG_MS = 300_000

/** Waits until `condition` holds. */
export async function until(condition, what = String(condition)) {
  for (const started = Date.now(); !(await condition()); await turn()) {
    assert.ok(Date.now() - started < HANG_MS, `never came true: ${what}`)
  }
}

/** Lets the event loop take `count` turns. */
export async function turns(count) {
  for (let taken = 0; taken < count; taken++) await turn()
}

/** Returns the code that `action` throws with. */
export function thrown(action) {
  try {
    action()
  } catch (error) {
    return codeOf(error)
  }
  return assert.fail('it does not throw')
}

/** Returns the code that `promise` rejects with, or that the function throws with. */
export async function rejected(promise) {
  try {
    await (typeof promise === 'function' ? promise() : promise)
  } catch (error) {
    return codeOf(error)
  }
  return assert.fail('it does not reject')
}

function codeOf(error) {
  assert.ok(isNetmemError(error), `an error with a code, not ${error?.stack}`)
  assert.match(error.message, /.{10}\.$/)
  return error.code
}

/** Bytes whose order shows: no two neighbouring stretches are alike. */
export function pattern(length, seed = 1) {
  const bytes = Buffer.allocUnsafeSlow(length)
  let state = seed
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[at] = state >>> 24
  }
  return bytes
}

/** Fails unless memory holds exactly `expected`. */
export function same(memory, expected) {
  const bytes = memory instanceof Uint8Array ? memory : new Uint8Array(memory)
  assert.equal(Buffer.compare(bytes, expected), 0, `${expected.length} bytes as they were sent`)
}

/** Runs `body` with a pool, of which nothing may be out at the end. */
export async function withPool(body, { pages = 16, pageSize = 65_536, provider, ...options } = {}) {
  const pool = createPool(provider ?? hostProvider({ pages, pageSize }), options)
  const result = await body(pool)
  assert.equal(pool.out, 0, 'nothing is out')
  assert.equal(copiedBytesOut(pool), 0, 'no copy is out')
  await pool.destroy()
  assert.equal(pool.inflight, 0, 'nothing is in flight')
  return result
}

/** Takes `count` handles, all of which are there. */
export function take(pool, count) {
  return Array.from({ length: count }, () => {
    const m = pool.alloc()
    assert.notEqual(m, undefined)
    return m
  })
}

/** Receives to the end. Returns all bytes. */
export async function receiveAll(frags) {
  const parts = []
  for await (const frag of frags) {
    parts.push(frag.copy())
    frag.release()
  }
  return Buffer.concat(parts)
}

export const certificate = makeCertificate()

function makeCertificate() {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const options = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'.split(' ')
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const { status } = spawnSync('openssl', [...options, ...names, '-keyout', key, '-out', cert])
  return status === 0 ? { key: readFileSync(key), cert: readFileSync(cert) } : undefined
}

const noTls = certificate === undefined && 'openssl cannot make a certificate here'

/** Each kind of connection, made by either side. */
export const ways = ['tcp', 'unix', 'tls'].flatMap((kind) =>
  ['connect', 'listen'].map((side) => ({ kind, side, skip: kind === 'tls' && noTls })),
)

/** Runs `body` with a connection, the peer's `net.Socket` and the pool. Nothing may be out then. */
export function withEnds({ kind, side }, body, { pages, pageSize, ...options } = {}) {
  return withPool(
    async (pool) => {
      const ends = await (side === 'connect' ? connected : accepted)(kind, { ...options, pool })
      try {
        return await body({ ...ends, pool })
      } finally {
        ends.connection.destroy()
        ends.peer.destroy()
        await ends.connection.closed
        await ends.stop()
      }
    },
    { pages, pageSize },
  )
}

async function connected(kind, options) {
  const server =
    kind === 'tls'
      ? tls.createServer({ ...certificate })
      : net.createServer({ allowHalfOpen: true })
  const socket = once(server, kind === 'tls' ? 'secureConnection' : 'connection')
  const where = kind === 'unix' ? { path: freshPath() } : { host: '127.0.0.1', port: 0 }
  await once(server.listen(where), 'listening')
  const place = kind === 'unix' ? where : { host: '127.0.0.1', port: server.address().port }
  const security = kind === 'tls' ? { tls: { ca: certificate.cert } } : {}
  const connection = await connect({ ...options, ...place, ...security })
  const [peer] = await socket
  peer.allowHalfOpen = true
  const stop = () => new Promise((resolve) => server.close(resolve))
  return { connection, peer: peer.on('error', () => {}), stop }
}

async function accepted(kind, options) {
  const place = kind === 'unix' ? { path: freshPath() } : { host: '127.0.0.1', port: 0 }
  const security = kind === 'tls' ? { tls: { ...certificate } } : {}
  const listener = await listen({ ...options, ...place, ...security })
  const { host, port } = listener.address
  const target = { ...(kind === 'unix' ? { path: host } : { host, port }), allowHalfOpen: true }
  const peer =
    kind === 'tls' ? tls.connect({ ...target, ca: certificate.cert }) : net.connect(target)
  peer.on('error', () => {})
  const ready = once(peer, kind === 'tls' ? 'secureConnect' : 'connect')
  const [connection] = await Promise.all([listener.accept(), ready])
  return { connection, peer, stop: () => listener.close() }
}

/** An HTTP server of Node's own, gone when `body` is done. */
export async function withServer(handler, body) {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handler)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  try {
    return await body(`http://127.0.0.1:${server.address().port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}
