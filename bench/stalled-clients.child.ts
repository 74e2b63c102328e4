/**
 * A server through one pool of 64 pages, of which clients want more than their share: it echoes,
 * passes on to another server, takes request bodies, or waits for whole messages.
 */

import { subscribe } from 'node:diagnostics_channel'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPool, type HostFrag, hostProvider } from 'netmem'
import { type Connection, connect, listen, receiveBody } from 'netmem/net'
import { MESSAGE, type StalledKind } from './stalled-clients.kinds.ts'

const pool = createPool(hostProvider({ pages: 64 }))
const [kind, upstreamPort] = [process.argv[2] as StalledKind, Number(process.argv[3])]

async function pass(from: Connection, to: Connection): Promise<void> {
  for await (const frag of from) {
    try {
      await to.write(frag.bytes)
    } finally {
      frag.release()
    }
  }
  await to.end()
}

async function proxy(client: Connection): Promise<void> {
  const upstream = await connect({ pool, host: '127.0.0.1', port: upstreamPort })
  await Promise.all([pass(client, upstream), pass(upstream, client)])
}

/** Holds the frags of a message until it is complete, then answers it. */
async function messages(client: Connection): Promise<void> {
  let held: HostFrag[] = []
  let bytes = 0
  for await (const frag of client) {
    held.push(frag)
    bytes += frag.length
    if (bytes < MESSAGE) continue
    bytes -= MESSAGE
    for (const frag of held) frag.release()
    held = []
    await client.write('ok')
  }
}

async function serve(handle: (client: Connection) => Promise<void>): Promise<number> {
  const listener = await listen({ pool, port: 0 })
  const accepting = async (): Promise<void> => {
    for await (const client of listener) handle(client).catch(() => client.destroy())
  }
  void accepting()
  return listener.address.port
}

function serveBodies(): Promise<number> {
  const server = http.createServer(async (request, response) => {
    let bytes = 0
    for await (const frag of receiveBody(request, pool)) {
      bytes += frag.length
      frag.release()
    }
    response.end(`${bytes}`)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

const handlers = { echo: (client: Connection) => pass(client, client), proxy, messages }
const port = kind === 'bodies' ? await serveBodies() : await serve(handlers[kind])
process.send?.(port)
// A dry pool is the figure's subject, so it is no warning.
subscribe('netmem:dry', () => {})
process.on('disconnect', () => process.exit())
