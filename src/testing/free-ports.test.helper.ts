/** Ports for programs that take no port 0, in tests. Not published. */

import { once } from 'node:events'
import net from 'node:net'

/** Bounds of the ports: below those that Linux gives to connections and to listeners on port 0 (ip_local_port_range). */
const LOWEST = 10_000
const HIGHEST = 32_000

/**
 * Returns ports of 127.0.0.1 that are free.
 *
 * No connection takes one before its program listens, and a connection that is tried early does not meet itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: net.Server[] = []
  const ports: number[] = []
  for (let port = randomPort(); ports.length < count; port = port < HIGHEST ? port + 1 : LOWEST) {
    const server = net.createServer().listen(port, '127.0.0.1')
    held.push(server)
    const listens = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (listens) ports.push(port)
  }
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function randomPort(): number {
  return LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
}
