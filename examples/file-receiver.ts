/**
 * Receives raw TCP into a file, in memory of 4 MiB however large the file is and however slow the
 * disk.
 *
 *   node build/examples/file-receiver.js FILE [PORT]
 *   nc -N 127.0.0.1 7003 < something
 */

import { createWriteStream } from 'node:fs'
import { createPool, hostProvider } from 'netmem'
import { listen } from 'netmem/net'

const [, , path = 'received.bin', port = '7003'] = process.argv
const pool = createPool(hostProvider({ pages: 16 }))
await using listener = await listen({ pool, port: Number(port) })
console.log(`listening on port ${listener.address.port}`)

const connection = await listener.accept()
if (connection !== undefined) {
  const bytes = await connection.pipeTo(createWriteStream(path))
  await connection.close()
  console.log(`${bytes} bytes in ${path}`)
}
