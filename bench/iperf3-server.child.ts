/**
 * An iperf3 server over one of four receive paths: `receive()` of a netmem connection, as
 * `netmem iperf3` has it, `for await` over one, with low-water marks or `plain`, or Node's `data`
 * events, in a thin adapter. Everything beside the receive path is the same code.
 */

import type net from 'node:net'
import { createPool, hostProvider } from 'netmem'
import { wakeBatching } from 'netmem/linux'
import { type Connection, listen } from 'netmem/net'
// Types of the build, since the compiler must not rewrite the names of another project's files.
import type { serveIperf3 as Serve } from '../dist/cli/iperf3/server.js'
import type { StreamFrag, Transport } from '../dist/cli/iperf3/transport.js'
import { PeerServer } from './peer-server.ts'

// The server is not part of the package's interface, so it is found where the build puts it.
const { serveIperf3 }: { readonly serveIperf3: typeof Serve } = await import(
  new URL('../../dist/cli/iperf3/server.js', import.meta.url).href
)

const POOL_BYTES = 16 * 1024 * 1024
const HOST = '127.0.0.1'

const [reads = '', pageBytes = ''] = process.argv.slice(2)
process.on('disconnect', () => process.exit())

async function serveNetmem(): Promise<void> {
  // A receiver that is woken for megabytes reads them in one call if the page holds them.
  const pageSize = pageBytes === '' ? (reads === 'plain' ? 256 : 4096) * 1024 : Number(pageBytes)
  const layout = { pages: POOL_BYTES / pageSize, pageSize }
  const pool = createPool(hostProvider(layout))
  const mark = reads === 'plain' ? {} : { wakeBatching: await wakeBatching() }
  const listener = await listen({ pool, host: HOST, port: 0, ...mark })
  process.send?.(listener.address.port)
  const connections = reads === 'receive' ? listener : iterated(listener)
  for await (const _summary of serveIperf3(connections)) {
    if (pool.out !== 0) throw new Error(`${pool.out} pages are out after a test`)
  }
}

/** Connections that are received from by iterating over them. */
async function* iterated(connections: AsyncIterable<Connection>): AsyncGenerator<Transport> {
  for await (const connection of connections) {
    const frags = connection[Symbol.asyncIterator]()
    yield {
      receive: async () => {
        const { done, value } = await frags.next()
        return done === true ? undefined : value
      },
      write: (bytes) => connection.write(bytes),
      end: () => connection.end(),
      destroy: () => connection.destroy(),
      remoteAddress: connection.remoteAddress,
    }
  }
}

async function serveData(): Promise<void> {
  const server = await PeerServer.tcp({ allowHalfOpen: true, noDelay: true })
  process.send?.(server.port)
  for await (const _summary of serveIperf3(accepted(server)));
}

async function* accepted(server: PeerServer): AsyncGenerator<Transport> {
  for await (const socket of server) yield new DataEvents(socket)
}

/** Node's Buffers as they come. Reads ahead like the other: one Buffer at a time waits at most. */
class DataEvents implements Transport {
  readonly remoteAddress: { readonly host: string; readonly port: number }
  readonly #socket: net.Socket
  readonly #queue: StreamFrag[] = []
  #waiter: ((frag: StreamFrag | undefined) => void) | undefined
  #ended = false

  constructor(socket: net.Socket) {
    this.#socket = socket
    this.remoteAddress = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    socket.on('data', (bytes) => {
      const waiter = this.#waiter
      const frag = { bytes, length: bytes.length, release: nothing }
      this.#waiter = undefined
      if (waiter !== undefined) waiter(frag)
      else {
        this.#queue.push(frag)
        socket.pause()
      }
    })
    const end = (): void => {
      this.#ended = true
      this.#waiter?.(undefined)
      this.#waiter = undefined
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', nothing)
  }

  receive(): Promise<StreamFrag | undefined> {
    const frag = this.#queue.shift()
    if (frag !== undefined || this.#ended) return Promise.resolve(frag)
    return new Promise((resolve) => {
      this.#waiter = resolve
      this.#socket.resume()
    })
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()))
  }

  end(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()))
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

function nothing(): void {}

await (reads === 'data' ? serveData() : serveNetmem())
