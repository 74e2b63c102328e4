/** The clients of `stalled-clients.child.ts`: some that stall, and one that does not and is timed. */

import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { answer } from './processes.ts'
import { MESSAGE, type StalledKind } from './stalled-clients.kinds.ts'

export interface StalledRequest {
  readonly kind: StalledKind
  readonly port: number
  /** Clients that stall. */
  readonly stalled: number
  /** Bytes that the timed one sends. */
  readonly bytes: number
}

/** Silence of the stalled clients after which all buffers on their way count as full. */
const SETTLE_MS = 500
/** Bytes that are more than all servers hold. */
const MAX_FLOOD = 64 * 1024 * 1024
const PART = Buffer.alloc(256 * 1024, 2)

async function dial(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

let flooded = 0

/** Writes until the kernel takes no more. */
async function flood(socket: net.Socket): Promise<void> {
  for (let sent = 0; sent < MAX_FLOOD && !socket.destroyed; sent += PART.length) {
    flooded++
    if (!socket.write(PART)) await once(socket, 'drain').catch(() => {})
  }
}

/** Resolves when {@link flood} has come to its end everywhere. */
async function settled(): Promise<void> {
  for (let before = -1; before !== flooded; ) {
    before = flooded
    await setTimeout(SETTLE_MS)
  }
}

/** Sends what keeps the server waiting, and never reads. */
async function stall({ kind, port }: StalledRequest): Promise<net.Socket> {
  const socket = await dial(port)
  socket.pause()
  if (kind === 'bodies') socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx')
  else if (kind === 'messages') socket.write('x')
  else void flood(socket)
  return socket
}

/** Sends and reads as much, both as fast as it goes. */
async function echoed({ port, bytes }: StalledRequest): Promise<void> {
  const socket = await dial(port)
  let left = bytes
  socket.on('data', (data) => {
    left -= data.length
  })
  for (let sent = 0; sent < bytes; sent += PART.length) {
    const part = PART.subarray(0, Math.min(PART.length, bytes - sent))
    if (!socket.write(part)) await once(socket, 'drain')
  }
  while (left > 0) await once(socket, 'data')
  socket.destroy()
}

async function answered({ port, bytes }: StalledRequest): Promise<void> {
  const socket = await dial(port)
  const message = PART.subarray(0, MESSAGE)
  for (let sent = 0; sent < bytes; sent += MESSAGE) {
    socket.write(message)
    await once(socket, 'data')
  }
  socket.destroy()
}

async function posted({ port, bytes }: StalledRequest): Promise<void> {
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false })
  for (let sent = 0; sent < bytes; sent += PART.length) {
    if (!request.write(PART)) await once(request, 'drain')
  }
  request.end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  await once(response.resume(), 'end')
}

const healthy = { echo: echoed, proxy: echoed, messages: answered, bodies: posted }

answer(async (request: StalledRequest) => {
  const { kind, stalled, bytes } = request
  const sockets = await Promise.all(Array.from({ length: stalled }, () => stall(request)))
  await settled()
  await healthy[kind]({ ...request, bytes: bytes / 10 })
  const startedAt = performance.now()
  await healthy[kind](request)
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of sockets) socket.destroy()
  return { gbPerS: bytes / 1e9 / seconds }
})

const upstream = net.createServer((socket) => socket.on('error', () => {}).pipe(socket))
upstream.listen(0, '127.0.0.1', () => process.send?.((upstream.address() as AddressInfo).port))
