/**
 * A program of a user, written from the README in ten minutes: each client sends text, which the
 * program appends to that client's file.
 *
 *   node build/examples/log-collector.js DIRECTORY [PORT]
 *   journalctl -f | nc 127.0.0.1 7006
 */

import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createPool, hostProvider } from 'netmem'
import { type Connection, listen } from 'netmem/net'

const [, , directory = '.', port = '7006'] = process.argv
const pool = createPool(hostProvider({ pages: 32, pageSize: 64 * 1024 }), { name: 'logs' })
const listener = await listen({ pool, port: Number(port) })
console.log(`listening on port ${listener.address.port}`)

async function collect(connection: Connection, path: string): Promise<void> {
  try {
    const bytes = await connection.pipeTo(createWriteStream(path, { flags: 'a' }))
    console.log(`${path}: ${bytes} bytes`)
    await connection.close()
  } catch (error) {
    console.log(`${path}: ${error instanceof Error ? error.message : error}`)
    connection.destroy()
  }
}

let clients = 0
for await (const connection of listener) {
  void collect(connection, join(directory, `client-${++clients}.log`))
}
