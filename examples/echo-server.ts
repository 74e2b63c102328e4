/**
 * A TCP server that survives its clients: one that resets, stalls or never ends takes nothing from
 * the others. It sends back what each client sends.
 *
 *   node build/examples/echo-server.js [PORT]
 *   nc 127.0.0.1 7005
 */

import { createPool, hostProvider } from 'netmem'
import { type Connection, listen } from 'netmem/net'

// 4 MiB for all clients together. Idle clients hold no page.
const pool = createPool(hostProvider({ pages: 64, pageSize: 64 * 1024 }))

async function echo(connection: Connection): Promise<void> {
  for await (const frag of connection) {
    // The write resolves when its memory is free again, so a client that does not read slows itself.
    try {
      await connection.write(frag.bytes)
    } finally {
      frag.release()
    }
  }
  await connection.close()
}

// A client that neither sends nor reads for a minute is dropped.
const port = Number(process.argv[2] ?? 7005)
await using listener = await listen({ pool, port, idleTimeoutMs: 60_000 })
console.log(`listening on port ${listener.address.port}`)

for await (const connection of listener) {
  const { host, port } = connection.remoteAddress
  echo(connection).catch((error: Error) => {
    console.log(`${host}:${port}: ${error.message}`)
    connection.destroy()
  })
}
