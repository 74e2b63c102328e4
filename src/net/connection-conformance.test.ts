// Kernel sockets pass the suite of connections: TCP, Unix sockets and TLS, at either end.
import { test } from 'node:test'
import { createPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { connectionConformance } from '../testing/connection-conformance.ts'
import type { ConnectionEnds } from '../testing/connection-ends.ts'
import { some } from '../testing/pools.test.helper.ts'
import { connect } from './connect.ts'
import { certificate, ways, whereToListen } from './harness.test.helper.ts'
import { listen } from './listen.ts'

for (const { kind, side, reads, name, skip } of ways()) {
  const open = async (): Promise<ConnectionEnds> => {
    const pool = createPool(hostProvider({ pages: 16, pageSize: 65_536 }))
    const options = { pool, reads }
    const listener = await listen({ ...options, ...whereToListen(kind) })
    const { host, port } = listener.address
    const place = kind === 'unix' ? { path: host } : { host, port }
    const security = kind === 'tls' ? { tls: { ca: some(certificate).cert } } : {}
    const [dialled, accepted] = await Promise.all([
      connect({ ...options, ...place, ...security }),
      listener.accept(),
    ])
    const [connection, peer] =
      side === 'connect' ? [dialled, some(accepted)] : [some(accepted), dialled]
    const close = async (): Promise<void> => {
      await listener.close()
      await pool.destroy()
    }
    return { connection, peer, resets: kind === 'tcp4' || kind === 'tcp6', close }
  }
  connectionConformance(name, open, { test: (title, body) => test(title, { skip }, body) })
}
