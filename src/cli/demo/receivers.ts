/** The receivers that the demo compares. Each verifies every byte, and does nothing else with it. */

import { once } from 'node:events'
import net from 'node:net'

import { createPool, hostProvider, type PagePoolStats } from '../../index.ts'
import { type Connection, connect, receiveInto } from '../../net/index.ts'
import { exactSize } from '../size.ts'
import type { Receive, ReceiverJob } from './job.ts'

const HOST = '127.0.0.1'

interface Receiver {
  /** How the table calls it. */
  readonly title: (job: Pick<ReceiverJob, 'destinationBytes'>) => string
  readonly receive: Receive
}

export const receivers = {
  data: {
    title: () => 'Node `data` events',
    receive: async ({ port }, verifier) => {
      const socket = net.connect({ host: HOST, port })
      socket.on('data', (chunk) => verifier.check(chunk))
      await once(socket, 'end')
      return undefined
    },
  },

  pool: {
    title: () => 'page pool, `for await`',
    receive: (job, verifier) =>
      overPool(job, async (connection) => {
        for await (const frag of connection) {
          verifier.check(frag.bytes)
          frag.release()
        }
      }),
  },

  into: {
    title: ({ destinationBytes }) => `receiveInto ${exactSize(destinationBytes)}, again and again`,
    receive: (job, verifier) =>
      overPool(job, async (connection) => {
        const destination = new Uint8Array(job.destinationBytes)
        for (let left = job.bytes; left > 0; left -= job.destinationBytes) {
          let verified = 0
          await receiveInto(connection, destination, {
            length: Math.min(left, job.destinationBytes),
            onProgress: (bytes) => {
              verifier.check(destination.subarray(verified, bytes))
              verified = bytes
            },
          })
        }
      }),
  },

  concat: {
    title: () => 'chunks kept, Buffer.concat',
    receive: async ({ port }, verifier) => {
      const chunks: Buffer[] = []
      const socket = net.connect({ host: HOST, port })
      socket.on('data', (chunk) => chunks.push(chunk))
      await once(socket, 'end')
      verifier.check(Buffer.concat(chunks))
      return undefined
    },
  },

  whole: {
    title: () => 'receiveInto, all of it',
    receive: (job, verifier) =>
      overPool(job, async (connection) => {
        const destination = new Uint8Array(job.bytes)
        await receiveInto(connection, destination)
        verifier.check(destination)
      }),
  },
} as const satisfies { readonly [name: string]: Receiver }

export type ReceiverName = keyof typeof receivers

async function overPool(
  { port, poolBytes, pageSize }: ReceiverJob,
  receive: (connection: Connection) => Promise<void>,
): Promise<PagePoolStats> {
  const pool = createPool(hostProvider({ pages: Math.floor(poolBytes / pageSize), pageSize }))
  const connection = await connect({ pool, host: HOST, port })
  await receive(connection)
  await connection.close()
  const stats = pool.stats()
  await pool.destroy()
  return stats
}
