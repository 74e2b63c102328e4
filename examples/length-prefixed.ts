/**
 * A receiver of a length-prefixed protocol: 4 bytes of length, big endian, then as many bytes of
 * payload. The socket reads each payload straight into memory of exactly its size.
 *
 *   node build/examples/length-prefixed.js [PORT]
 */

import { createPool, hostProvider } from 'netmem'
import { type Connection, listen, readMessages } from 'netmem/net'

const pool = createPool(hostProvider({ pages: 16 }))
await using listener = await listen({ pool, port: Number(process.argv[2] ?? 7001) })
console.log(`listening on port ${listener.address.port}`)

async function serve(connection: Connection): Promise<void> {
  const messages = readMessages(connection, {
    headerBytes: 4,
    payloadBytes: (header) => new DataView(header.buffer, header.byteOffset).getUint32(0),
    maxPayloadBytes: 64 * 1024 * 1024,
  })
  let count = 0
  for await (const { header, payload } of messages) {
    header.release()
    console.log(`message ${++count}: ${payload.length} bytes`)
    await connection.write(`got ${payload.length}\n`)
  }
  await connection.close()
}

for await (const connection of listener) {
  serve(connection).catch((error: unknown) => {
    console.error(error)
    connection.destroy()
  })
}
