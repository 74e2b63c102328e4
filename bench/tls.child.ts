/** A TLS server that counts what it receives, through netmem or through Node's `data` events. */

import { createPool, hostProvider } from 'netmem'
import { wakeBatching } from 'netmem/linux'
import { listen } from 'netmem/net'
import { PeerServer } from './peer-server.ts'
import { answer } from './processes.ts'
import { Stopwatch } from './stopwatch.ts'

/** Bytes to count before and during the measurement. */
export interface TlsRequest {
  readonly warmUp: number
  readonly bytes: number
}

const [reads, key = '', cert = ''] = process.argv.slice(2)
const HOST = '127.0.0.1'

if (reads === 'netmem') {
  const pool = createPool(hostProvider({ pages: 64 }))
  const mark = await wakeBatching()
  const listener = await listen({
    pool,
    host: HOST,
    port: 0,
    tls: { key, cert },
    wakeBatching: mark,
  })
  process.send?.(listener.address.port)
  answer(async ({ warmUp, bytes }: TlsRequest) => {
    const connection = await listener.accept()
    if (connection === undefined) throw new Error('the listener is closed')
    const watch = new Stopwatch(warmUp, bytes)
    for await (const frag of connection) {
      const goOn = watch.count(frag.length)
      frag.release()
      if (!goOn) break
    }
    connection.destroy()
    await connection.closed
    if (pool.out !== 0) throw new Error(`${pool.out} pages are out after the connection`)
    return watch.sample()
  })
} else {
  const server = await PeerServer.tls({ key, cert })
  process.send?.(server.port)
  answer(async ({ warmUp, bytes }: TlsRequest) => {
    const socket = await server.accept()
    const watch = new Stopwatch(warmUp, bytes)
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('end', resolve)
      socket.on('data', (chunk) => {
        if (!watch.count(chunk.length)) resolve()
      })
    })
    socket.on('error', () => {})
    socket.destroy()
    return watch.sample()
  })
}
