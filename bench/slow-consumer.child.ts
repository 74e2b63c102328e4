/** A consumer that is slow for a while, and how much memory its process needs the meantime. */

import { setTimeout } from 'node:timers/promises'
import { createPool, hostProvider } from 'netmem'
import { listen } from 'netmem/net'
import { verify } from './pattern.ts'
import { PeerServer } from './peer-server.ts'
import { answer } from './processes.ts'

export interface SlowRequest {
  readonly bytes: number
  /** Duration of the slow phase. */
  readonly slowMs: number
  readonly slowBytesPerS: number
}

const HEADER = 4
const MIB = 1024 * 1024
const SAMPLE_MS = 5

/** Takes what comes at the pace of the request, and verifies it. */
class Consumer {
  readonly #request: SlowRequest
  readonly #startedAt = performance.now()
  #received = 0

  constructor(request: SlowRequest) {
    this.#request = request
  }

  /** Resolves when it wants the next bytes. */
  async take(bytes: Uint8Array): Promise<void> {
    const header = Math.max(0, Math.min(bytes.length, HEADER - this.#received))
    verify(0, Math.max(0, this.#received - HEADER), bytes.subarray(header))
    this.#received += bytes.length
    const { slowMs, slowBytesPerS } = this.#request
    const due = Math.min(slowMs, (this.#received / slowBytesPerS) * 1000)
    const early = this.#startedAt + due - performance.now()
    if (early > 1) await setTimeout(early)
  }

  check(): void {
    const expected = this.#request.bytes + HEADER
    if (this.#received !== expected) {
      throw new Error(`${this.#received} of ${expected} bytes arrived`)
    }
  }
}

/** The most resident memory while `task` runs, beyond what it was before. */
async function peakBeyond(task: () => Promise<void>): Promise<{ readonly peakMiB: number }> {
  // Settled: what starting up and the warm-up have left is collected, and does not come again.
  globalThis.gc?.()
  await setTimeout(100)
  const base = process.memoryUsage.rss()
  let peak = base
  const look = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const looking = setInterval(look, SAMPLE_MS)
  await task()
  look()
  clearInterval(looking)
  return { peakMiB: (peak - base) / MIB }
}

if (process.argv[2] === 'netmem') {
  const provider = hostProvider({ pages: 64 })
  const pool = createPool(provider)
  // The pool's memory is resident from the start, and part of the base.
  const pages = Array.from({ length: pool.capacity }, () => pool.alloc())
  for (const page of pages) {
    if (page === undefined) continue
    pool.bytes(page).fill(1)
    pool.put(page)
  }
  const listener = await listen({ pool, port: 0 })
  process.send?.(listener.address.port)
  const receive = async (request: SlowRequest): Promise<void> => {
    const connection = await listener.accept()
    if (connection === undefined) throw new Error('the listener is closed')
    const consumer = new Consumer(request)
    for await (const frag of connection) {
      await consumer.take(frag.bytes)
      frag.release()
    }
    consumer.check()
    await connection.close()
    if (pool.out !== 0) throw new Error(`${pool.out} pages are out after the connection`)
  }
  serve(receive)
} else {
  const server = await PeerServer.tcp()
  process.send?.(server.port)
  const receive = async (request: SlowRequest): Promise<void> => {
    const socket = await server.accept()
    const consumer = new Consumer(request)
    // Iterating applies backpressure, as a careful program does.
    for await (const chunk of socket) await consumer.take(chunk as Buffer)
    consumer.check()
  }
  serve(receive)
}

/** The first request warms up, the others measure. */
function serve(receive: (request: SlowRequest) => Promise<void>): void {
  answer(async (request: SlowRequest) =>
    request.slowMs === 0 ? await receive(request) : await peakBeyond(() => receive(request)),
  )
}
