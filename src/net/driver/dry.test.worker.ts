/**
 * A program that keeps every frag it receives until its parent tells it to give them back. It says
 * `dry` when its pool is, and `idle` when the event loop has nothing left to wait for.
 */

import { getInto } from '../../http/get-into.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { hostProvider } from '../../providers/host.ts'
import { connect } from '../connect.ts'

export interface DryJob {
  readonly port: number
  readonly how: 'connect' | 'unref' | 'getInto'
}

const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
const held: HostFrag[] = []
let keeps = true
let received = 0
let toldDry = false

function keep(frag: HostFrag): void {
  received += frag.length
  if (keeps) held.push(frag)
  else frag.release()
  if (pool.available > 0 || toldDry) return
  toldDry = true
  process.send?.('dry')
}

async function run({ port, how }: DryJob): Promise<void> {
  if (how === 'getInto') {
    await getInto(`http://127.0.0.1:${port}/`, { pool, onFrag: keep }, { keepAlive: false })
  } else {
    const connection = await connect({ pool, port, host: '127.0.0.1' })
    for await (const frag of connection) {
      keep(frag)
      if (how === 'unref' && toldDry) connection.unref()
    }
    await connection.close()
  }
  process.send?.(received)
}

process.on('beforeExit', () => process.send?.('idle'))
process.on('message', (message: DryJob | 'release') => {
  if (message === 'release') {
    keeps = false
    for (const frag of held.splice(0)) frag.release()
    return
  }
  // The program has nothing to wait for but its connection from here on.
  process.channel?.unref()
  void run(message)
})
