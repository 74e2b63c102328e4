/** Receivers that the demo compares. Each verifies every byte and discards it. */

import { once } from 'node:events'
import net from 'node:net'
import type { Connection } from '../../connection.ts'
import type { PagePoolStats } from '../../index.ts'
import { connect } from '../../net/connect.ts'
import { receiveInto } from '../../net/receivers/receive-into.ts'
import { makePool } from '../make-pool.ts'
import { exactSize } from '../size.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import type { DemoOptions, Receive, ReceiverJob, ReceiverName } from './job.ts'

const HOST = '127.0.0.1'

interface DemoReceiver {
  /** Title in the table. */
  readonly title: (options: DemoOptions) => string
  readonly receive: Receive
}

export const receivers: { readonly [name in ReceiverName]: DemoReceiver } = {
  data: {
    title: () => 'Node `data` events',
    receive: async ({ port }, verifier, begin) => {
      begin()
      const socket = net.connect({ host: HOST, port })
      socket.on('data', (chunk) => verifier.check(chunk))
      await once(socket, 'end')
      return undefined
    },
  },

  pool: {
    title: () => 'page pool, `for await`',
    receive: (job, verifier, begin) =>
      overPool(job, async (connectToSender) => {
        begin()
        await using connection = await connectToSender()
        for await (const frag of connection) {
          verifier.check(frag.bytes)
          frag.release()
        }
      }),
  },

  into: {
    title: ({ destination }) => `receiveInto, ${exactSize(destination)} reused`,
    receive: (job, verifier, begin) =>
      overPool(job, async (connectToSender) => {
        const { bytes } = job.options
        const destination = new Uint8Array(Math.min(job.options.destination, bytes))
        begin()
        await using connection = await connectToSender()
        for (let left = bytes; left > 0; left -= destination.byteLength) {
          let verified = 0
          await receiveInto(connection, destination, {
            length: Math.min(left, destination.byteLength),
            onProgress: (arrived) => {
              verifier.check(destination.subarray(verified, arrived))
              verified = arrived
            },
          })
        }
      }),
  },

  concat: {
    title: () => 'chunks kept, Buffer.concat',
    receive: async ({ port }, verifier, begin) => {
      const chunks: Buffer[] = []
      begin()
      const socket = net.connect({ host: HOST, port })
      socket.on('data', (chunk) => chunks.push(chunk))
      await once(socket, 'end')
      verifier.check(Buffer.concat(chunks))
      return undefined
    },
  },

  whole: {
    title: ({ bytes }) => `receiveInto, one of ${exactSize(bytes)}`,
    receive: (job, verifier, begin) =>
      overPool(job, async (connectToSender) => {
        const destination = new Uint8Array(job.options.bytes)
        begin()
        await using connection = await connectToSender()
        await receiveInto(connection, destination)
        verifier.check(destination)
      }),
  },
}

/** Runs `receive` with a function that connects over a new pool. */
async function overPool(
  { port, options }: ReceiverJob,
  receive: (connectToSender: () => Promise<Connection>) => Promise<void>,
): Promise<PagePoolStats> {
  const pool = await makePool(options)
  const wakeBatching = await wakeBatchingIfAny()
  await receive(() => connect({ pool, host: HOST, port, ...wakeBatching }))
  const stats = pool.stats()
  await pool.destroy()
  return stats
}
