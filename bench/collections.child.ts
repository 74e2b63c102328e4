/** Receives one connection, and counts garbage collections of this process until it ends. */

import { once } from 'node:events'
import { createPool, hostProvider } from 'netmem'
import { listen } from 'netmem/net'
import { Collections } from './gc.ts'
import { PeerServer } from './peer-server.ts'
import { answer } from './processes.ts'

export interface StreamRequest {
  readonly warmUp: number
  readonly bytes: number
}

/** Bytes that the sender puts in front. */
const HEADER = 4

class Counter {
  readonly #collections = new Collections()
  readonly #request: StreamRequest
  #received = -HEADER
  #startedAt = 0

  constructor(request: StreamRequest) {
    this.#request = request
  }

  count(bytes: number): void {
    this.#received += bytes
    if (this.#startedAt === 0 && this.#received >= this.#request.warmUp) {
      this.#startedAt = performance.now()
      this.#collections.start()
    }
  }

  async sample(): Promise<unknown> {
    const { warmUp, bytes } = this.#request
    const seconds = (performance.now() - this.#startedAt) / 1000
    const { major, minor } = await this.#collections.stop()
    if (this.#received !== warmUp + bytes) {
      throw new Error(`${this.#received} of ${warmUp + bytes} bytes arrived`)
    }
    return { major, minorPerGb: minor / (bytes / 1e9), gbPerS: bytes / 1e9 / seconds }
  }
}

if (process.argv[2] === 'netmem') {
  const pool = createPool(hostProvider({ pages: 64 }))
  const listener = await listen({ pool, port: 0 })
  process.send?.(listener.address.port)
  answer(async (request: StreamRequest) => {
    const connection = await listener.accept()
    if (connection === undefined) throw new Error('the listener is closed')
    const counter = new Counter(request)
    for await (const frag of connection) {
      counter.count(frag.length)
      frag.release()
    }
    const sample = await counter.sample()
    await connection.close()
    if (pool.out !== 0) throw new Error(`${pool.out} pages are out after the connection`)
    return sample
  })
} else {
  const server = await PeerServer.tcp()
  process.send?.(server.port)
  answer(async (request: StreamRequest) => {
    const socket = await server.accept()
    const counter = new Counter(request)
    socket.on('data', (chunk) => counter.count(chunk.length))
    await once(socket, 'end')
    return await counter.sample()
  })
}
