/** Receives many connections at once and verifies each. Says how long the worst served one waited. */

import { once } from 'node:events'
import { createPool, hostProvider } from 'netmem'
import { listen } from 'netmem/net'
import { verify } from './pattern.ts'
import { PeerServer } from './peer-server.ts'
import { answer } from './processes.ts'

export interface ConnectionsRequest {
  readonly connections: number
  readonly bytes: number
}

const HEADER = 4
const BACKLOG = 4096

/** One connection's data, which begins with its number. */
class Verifier {
  readonly #header = Buffer.alloc(HEADER)
  #received = 0
  #lastAt = performance.now()
  /** The longest time between two of its reads. */
  longestWaitMs = 0

  take(bytes: Uint8Array): void {
    const now = performance.now()
    this.longestWaitMs = Math.max(this.longestWaitMs, now - this.#lastAt)
    this.#lastAt = now
    const header = Math.max(0, Math.min(bytes.length, HEADER - this.#received))
    if (header > 0) this.#header.set(bytes.subarray(0, header), this.#received)
    this.#received += header
    if (this.#received < HEADER) return
    verify(this.#header.readUInt32BE(), this.#received - HEADER, bytes.subarray(header))
    this.#received += bytes.length - header
  }

  check({ bytes }: ConnectionsRequest): void {
    if (this.#received !== bytes + HEADER) {
      throw new Error(`${this.#received} of ${bytes + HEADER} bytes arrived on one connection`)
    }
  }
}

/** Serves as many connections as asked for with `receive`, all at once. */
async function serve<T>(
  request: ConnectionsRequest,
  connections: AsyncIterable<T>,
  receive: (connection: T, verifier: Verifier) => Promise<void>,
): Promise<{ readonly gbPerS: number; readonly longestWaitMs: number }> {
  const verifiers: Verifier[] = []
  const receiving: Promise<void>[] = []
  let startedAt = 0
  for await (const connection of connections) {
    if (startedAt === 0) startedAt = performance.now()
    const verifier = new Verifier()
    verifiers.push(verifier)
    receiving.push(receive(connection, verifier))
    if (receiving.length === request.connections) break
  }
  await Promise.all(receiving)
  const seconds = (performance.now() - startedAt) / 1000
  for (const verifier of verifiers) verifier.check(request)
  return {
    gbPerS: (request.connections * request.bytes) / 1e9 / seconds,
    longestWaitMs: Math.max(...verifiers.map((verifier) => verifier.longestWaitMs)),
  }
}

if (process.argv[2] === 'netmem') {
  const pool = createPool(hostProvider({ pages: 64, pageSize: 256 * 1024 }))
  const listener = await listen({ pool, port: 0, backlog: BACKLOG })
  process.send?.(listener.address.port)
  answer(async (request: ConnectionsRequest) => {
    const sample = await serve(request, listener, async (connection, verifier) => {
      for await (const frag of connection) {
        verifier.take(frag.bytes)
        frag.release()
      }
      await connection.close()
    })
    const { out, copied } = pool.stats()
    if (out !== 0 || copied.bytes_out !== 0) throw new Error(`${out} pages are out at the end`)
    return sample
  })
} else {
  const server = await PeerServer.tcp()
  process.send?.(server.port)
  answer(async (request: ConnectionsRequest) =>
    serve(request, server, async (socket, verifier) => {
      socket.on('data', (chunk) => verifier.take(chunk))
      await once(socket, 'end')
    }),
  )
}
