/** Helpers of the tests of sockets. Not published. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import type { Connection } from '../connection.ts'
import type { Page } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import type { ReadableFrag } from '../pool/frag.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { end, some } from '../testing/pools.test.helper.ts'
import { randomBytes } from '../testing/random-bytes.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import type { PortOrPath } from './arguments.ts'
import { connect } from './connect.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { SocketDriver } from './driver/socket-driver.ts'
import { type Listener, listen } from './listen.ts'

export { codeOf as rejection } from '../testing/fails-with.test.helper.ts'

export type Kind = 'tcp4' | 'tcp6' | 'unix' | 'tls'
type Side = 'connect' | 'listen'
export type Reads = 'posted' | 'data'

/** One way of having a connection. */
export interface Way {
  readonly kind: Kind
  /** End that is netmem's. The other is a socket of Node.js. */
  readonly side: Side
  readonly reads: Reads
  readonly name: string
  /** Reason to skip the test on this machine, or `false` if it can run. */
  readonly skip: string | false
}

// A folder for certificates and Unix sockets, gone when the process is.
const folder = mkdtempSync(join(tmpdir(), 'netmem-net-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
let paths = 0

/** A path in a temporary folder. */
export function freshPath(): string {
  return join(folder, `${++paths}`)
}

export const certificate: { readonly key: Buffer; readonly cert: Buffer } | undefined =
  makeCertificate()

function makeCertificate(): typeof certificate {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const options = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'.split(' ')
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const made = spawnSync('openssl', [...options, ...names, '-keyout', key, '-out', cert])
  return made.status === 0 ? { key: readFileSync(key), cert: readFileSync(cert) } : undefined
}

/** Value for a test's `skip`: the reason why there is no TLS, or false. */
export const noTls: string | false =
  certificate === undefined && 'openssl cannot make a certificate here'

const noIpv6 =
  !Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  ) && 'this machine has no ::1'

const kinds: readonly Kind[] = ['tcp4', 'tcp6', 'unix', 'tls']
const sides: readonly Side[] = ['connect', 'listen']
const readings: readonly Reads[] = ['posted', 'data']

/** Every way to have a connection, of those kinds and readings. */
export function ways(of: readonly Kind[] = kinds, reads: readonly Reads[] = readings): Way[] {
  return of.flatMap((kind) =>
    sides.flatMap((side) =>
      reads.map((reading) => ({
        kind,
        side,
        reads: reading,
        name: `${kind}, ${side}, ${reading}`,
        skip: (kind === 'tls' && noTls) || (kind === 'tcp6' && noIpv6),
      })),
    ),
  )
}

/** The driver of a connection, for tests that look into it. */
export function driverOf({ receivers }: Connection): SocketDriver {
  assert.ok(receivers instanceof SocketDriver)
  return receivers
}

/** Two ends of one connection, and the pool of netmem's end. */
export interface Ends {
  readonly connection: Connection
  readonly peer: net.Socket
  readonly pool: PagePool<Page>
}

export type EndsOptions = Partial<ConnectionOptions> & {
  readonly pages?: number
  readonly pageSize?: number
  /** The pool stays out of the accounts: the test ends it. */
  readonly keepPool?: boolean
}

/** Runs `body` with a connection, then closes both ends. Nothing may be out after that. */
export async function withEnds(
  { kind, side, reads }: Pick<Way, 'kind' | 'side' | 'reads'>,
  body: (ends: Ends) => Promise<void>,
  { pages = 16, pageSize = 65_536, keepPool = false, ...options }: EndsOptions = {},
): Promise<void> {
  const pool = options.pool ?? createPool(hostProvider({ pages, pageSize }))
  const settings = { ...options, pool, reads }
  const { connection, peer, stop } = await (side === 'connect'
    ? dialled(kind, settings)
    : accepted(kind, settings))
  try {
    await body({ connection, peer, pool })
  } finally {
    connection.destroy()
    peer.destroy()
    await connection.closed
    await stop()
  }
  if (!keepPool) await endAll(pool)
}

/** Fails if memory is out, copies included. Destroys the pools. */
export async function endAll(pool: PagePool<Page>): Promise<void> {
  assert.equal(pool.stats().copied.bytes_out, 0, 'no copy is out')
  await end(pool)
}

interface Made {
  readonly connection: Connection
  readonly peer: net.Socket
  readonly stop: () => Promise<void>
}

async function dialled(kind: Kind, options: ConnectionOptions): Promise<Made> {
  const server = serve(kind)
  const socket = new Promise<net.Socket>((resolve) => {
    server.once(kind === 'tls' ? 'secureConnection' : 'connection', resolve)
  })
  const where = await listening(server, kind)
  const security = kind === 'tls' ? { tls: { ca: some(certificate).cert } } : {}
  const connection = await connect({ ...options, ...where, ...security })
  const peer = quiet(await socket)
  return {
    connection,
    peer,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

async function accepted(kind: Kind, options: ConnectionOptions): Promise<Made> {
  const listener = await listen({ ...options, ...whereToListen(kind) })
  const [connection, peer] = await Promise.all([listener.accept(), dialPlain(listener, kind)])
  return { connection: some(connection), peer, stop: () => listener.close() }
}

/** A server of Node.js's own, which leaves half-closed connections open. */
export function serve(kind: Kind, onSocket?: (socket: net.Socket) => void): net.Server {
  if (kind !== 'tls') return net.createServer({ allowHalfOpen: true }, onSocket)
  const server = tls.createServer({ ...some(certificate) })
  // Waits for the handshake: a peer that leaves during it would otherwise stay.
  return server.on('secureConnection', (socket) => {
    socket.allowHalfOpen = true
    onSocket?.(socket)
  })
}

/** Listens with `server`. Resolves with its address, as `connect` takes it. */
export async function listening(server: net.Server, kind: Kind): Promise<Place> {
  const path = kind === 'unix' ? freshPath() : undefined
  const host = kind === 'tcp6' ? '::1' : '127.0.0.1'
  await new Promise<void>((resolve) => {
    server.listen(path === undefined ? { host, port: 0 } : { path }, resolve)
  })
  const address = server.address()
  if (path !== undefined) return { path }
  assert.ok(address !== null && typeof address === 'object')
  return { host, port: address.port }
}

/** A port or a path, as the kind of connection under test needs. */
export type Place = { readonly host?: string } & PortOrPath

export function whereToListen(kind: Kind): Place & { readonly tls?: tls.TlsOptions } {
  if (kind === 'unix') return { path: freshPath() }
  if (kind === 'tcp6') return { host: '::1', port: 0 }
  return { host: '127.0.0.1', port: 0, ...(kind === 'tls' ? { tls: some(certificate) } : {}) }
}

/** A socket of Node.js's own to a listener of netmem's. */
export async function dialPlain(listener: Listener, kind: Kind): Promise<net.Socket> {
  const { host, port } = listener.address
  const target = { ...(port === 0 ? { path: host } : { host, port }), allowHalfOpen: true }
  const socket = quiet(
    kind === 'tls' ? tls.connect({ ...target, ca: some(certificate).cert }) : net.connect(target),
  )
  await new Promise((resolve, reject) => {
    socket.once(kind === 'tls' ? 'secureConnect' : 'connect', resolve)
    socket.once('error', reject)
  })
  return socket
}

/** Closes a socket when its peer has. */
export function endsWhenEnded(socket: net.Socket): void {
  if (socket.readableEnded) socket.end()
  else socket.resume().once('end', () => socket.end())
}

function quiet(socket: net.Socket): net.Socket {
  return socket.on('error', () => {})
}

export { until } from '../testing/waiting.test.helper.ts'

/** Resolves once `next` has waited for a dry pool over many turns of the event loop. */
export async function dry(pool: PagePool<Page>, next: Promise<unknown>): Promise<'dry'> {
  let pending = true
  const settled = (): void => {
    pending = false
  }
  next.then(settled, settled)
  for (let dryTurns = 0; pending && dryTurns < 50; ) {
    await turns(1)
    dryTurns = pool.available === 0 ? dryTurns + 1 : 0
  }
  return 'dry'
}

const PERIOD = 1_000_003
const contents = new Map<number, Buffer>()

/** Bytes `offset` to `offset + length` of an endless pattern: at most 1,000,000 at once. */
export function pattern(offset: number, length: number, seed = 1): Buffer {
  let block = contents.get(seed)
  if (block === undefined) {
    const period = randomBytes(PERIOD, seed)
    block = Buffer.concat([period, period])
    contents.set(seed, block)
  }
  const from = offset % PERIOD
  return block.subarray(from, from + length)
}

/** Fails unless `bytes` are those of the pattern at `offset`. */
export function same(bytes: Uint8Array, offset: number, seed = 1): void {
  for (let at = 0; at < bytes.byteLength; at += 1_000_000) {
    const part = bytes.subarray(at, at + 1_000_000)
    const expected = pattern(offset + at, part.byteLength, seed)
    assert.equal(Buffer.compare(part, expected), 0, `bytes from ${offset + at}`)
  }
}

/** Writes bytes `from` to `to` of the pattern, with backpressure. Gives up when the socket is gone. */
export async function send(socket: net.Socket, from: number, to: number, seed = 1): Promise<void> {
  for (let at = from; at < to && !socket.destroyed; ) {
    const bytes = Math.min(100_000, to - at)
    await new Promise<void>((resolve) => {
      socket.once('close', resolve)
      socket.write(pattern(at, bytes, seed), () => {
        socket.off('close', resolve)
        resolve()
      })
    })
    at += bytes
  }
}

/** Reads a socket of Node.js to its end, and compares it with the pattern. Resolves with its bytes. */
export async function readAll(peer: net.Socket): Promise<number> {
  let at = 0
  for await (const chunk of peer.iterator({ destroyOnReturn: false })) {
    same(chunk as Buffer, at)
    at += (chunk as Buffer).byteLength
  }
  return at
}

/** Receives to the end, verifies all from `offset` on, returns where it ends. */
export async function receiveAll(
  frags: AsyncIterable<ReadableFrag>,
  offset = 0,
  seed = 1,
): Promise<number> {
  let at = offset
  for await (const frag of frags) {
    same(frag.bytes, at, seed)
    at += frag.length
    frag.release()
  }
  return at
}
