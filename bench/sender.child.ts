/**
 * A sender for the figures in which its speed does not count: pushes bytes at one connection, or
 * the same number at each of many, as fast as the receiver takes them.
 */

import { once } from 'node:events'
import net from 'node:net'
import { pattern, phase } from './pattern.ts'
import { answer } from './processes.ts'

export interface SendRequest {
  readonly port: number
  /** Bytes per connection. */
  readonly bytes: number
  readonly connections: number
}

/** Says which connection it is, then sends its bytes. */
async function send(port: number, connection: number, bytes: number): Promise<void> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  // A socket that is not read does not notice the receiver's end.
  socket.resume()
  const header = Buffer.alloc(4)
  header.writeUInt32BE(connection)
  socket.write(header)
  for (let sent = 0; sent < bytes; ) {
    const from = phase(connection, sent)
    const part = pattern.subarray(from, Math.min(pattern.length, from + bytes - sent))
    sent += part.length
    if (!socket.write(part)) await once(socket, 'drain')
  }
  socket.end()
  await once(socket, 'close')
}

answer(async ({ port, bytes, connections }: SendRequest) => {
  const sending = Array.from({ length: connections }, (_, i) => send(port, i, bytes))
  await Promise.all(sending)
  return 'sent'
})
