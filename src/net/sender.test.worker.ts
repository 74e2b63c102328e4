/** A process that sends the pattern over many connections at once. It can be killed in mid-stream. */

import net from 'node:net'
import { pattern } from './harness.test.helper.ts'

export interface SendJob {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Bytes over each connection, besides four that say which it is. */
  readonly bytes: number
  /** Leaves each connection open after that. */
  readonly stay?: boolean
}

/** Offset in the pattern at which a connection begins. */
export function startOf(connection: number): number {
  return connection * 997
}

async function sendOver(job: SendJob, connection: number): Promise<void> {
  const socket = net.connect({ host: job.host, port: job.port }).on('error', () => {})
  const header = Buffer.alloc(4)
  header.writeUInt32BE(connection)
  socket.write(header)
  const start = startOf(connection)
  for (let at = 0; at < job.bytes && !socket.destroyed; ) {
    const bytes = Math.min(200_000, job.bytes - at)
    if (!socket.write(pattern(start + at, bytes))) {
      await new Promise<void>((resolve) => {
        socket.once('drain', resolve)
        socket.once('close', resolve)
      })
    }
    at += bytes
  }
  if (job.stay !== true) socket.end()
}

process.on('message', (job: SendJob) => {
  for (let connection = 0; connection < job.connections; connection++) {
    void sendOver(job, connection)
  }
})
// The process that started it may be gone.
process.on('disconnect', () => process.exit())
