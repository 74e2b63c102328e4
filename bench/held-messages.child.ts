/**
 * Receives messages of 512 bytes and holds one in a hundred: `frag.slice` of a pool's frags, or
 * `subarray` of Node's Buffers. Then says how many bytes that keeps from being used again.
 */

import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { createPool, hostProvider } from 'netmem'
import { listen } from 'netmem/net'
import { verify } from './pattern.ts'
import { PeerServer } from './peer-server.ts'
import { answer } from './processes.ts'

export interface MessagesRequest {
  readonly messages: number
}

const HEADER = 4
const MESSAGE = 512
const ONE_IN = 100

/** Memory of a held message: a part of a frag or Buffer, or a copy where the message lay across two. */
interface Held {
  readonly bytes: Uint8Array
}

/** Cuts what arrives into messages, and holds every hundredth with `hold(start, end)`. */
class Cutter {
  readonly held: Held[] = []
  #messages = 0
  /** Bytes of the present message that came before. Headers do not count. */
  #before = -HEADER
  readonly #parts = new Uint8Array(MESSAGE)

  cut(bytes: Uint8Array, hold: (start: number, end: number) => Held): void {
    let at = 0
    if (this.#before < 0) {
      at = Math.min(bytes.length, -this.#before)
      this.#before += at
    }
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + MESSAGE - this.#before)
      const isWhole = this.#before === 0 && end - at === MESSAGE
      if (!isWhole) this.#parts.set(bytes.subarray(at, end), this.#before)
      this.#before += end - at
      if (this.#before === MESSAGE) {
        if (this.#messages % ONE_IN === 0) {
          this.held.push(isWhole ? hold(at, end) : { bytes: this.#parts.slice() })
        }
        this.#messages++
        this.#before = 0
      }
      at = end
    }
  }

  check({ messages }: MessagesRequest): void {
    if (this.#messages !== messages) {
      throw new Error(`${this.#messages} of ${messages} messages arrived`)
    }
    for (const [i, { bytes }] of this.held.entries()) {
      verify(0, i * ONE_IN * MESSAGE, bytes)
    }
  }

  get liveBytes(): number {
    return this.held.length * MESSAGE
  }
}

/** Bytes of all ArrayBuffers, once what is unreachable has been collected. */
async function arrayBuffers(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await setTimeout(50)
  }
  return process.memoryUsage().arrayBuffers
}

if (process.argv[2] === 'netmem') {
  const pool = createPool(hostProvider({ pages: 64 }))
  const listener = await listen({ pool, port: 0 })
  process.send?.(listener.address.port)
  answer(async (request: MessagesRequest) => {
    const connection = await listener.accept()
    if (connection === undefined) throw new Error('the listener is closed')
    const before = await arrayBuffers()
    const cutter = new Cutter()
    for await (const frag of connection) {
      cutter.cut(frag.bytes, (start, end) => frag.slice(start, end))
      frag.release()
    }
    await connection.close()
    // Pages that are held, and copies: the pool's own memory was there before.
    const pinned = (await arrayBuffers()) - before + pool.out * pool.pageSize
    cutter.check(request)
    const { copied } = pool.stats()
    return { pinned: pinned / cutter.liveBytes, copies: copied.frags / request.messages }
  })
} else {
  const server = await PeerServer.tcp()
  process.send?.(server.port)
  answer(async (request: MessagesRequest) => {
    const socket = await server.accept()
    const before = await arrayBuffers()
    const cutter = new Cutter()
    socket.on('data', (chunk) =>
      cutter.cut(chunk, (start, end) => ({ bytes: chunk.subarray(start, end) })),
    )
    await once(socket, 'end')
    const pinned = (await arrayBuffers()) - before
    cutter.check(request)
    return { pinned: pinned / cutter.liveBytes, copies: 0 }
  })
}
