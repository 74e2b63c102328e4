/** The demo's sender: sends the pattern to each client as fast as the socket takes it. */

import { once } from 'node:events'
import net from 'node:net'

import { Pattern } from '../pattern.ts'
import type { SenderJob } from './job.ts'

/** Large, so that the sender is not the bottleneck. */
const VIEW_BYTES = 1024 * 1024

/** Serves without end. Resolves with the port. */
export async function serveReceiver({ options }: SenderJob): Promise<number> {
  const pattern = new Pattern(options.pattern)
  const server = net.createServer((socket) => {
    // The receiver's process reports its own errors.
    socket.on('error', () => undefined)
    const views = corrupted(pattern.views(options.bytes, VIEW_BYTES), options.corrupt)
    const send = (): void => {
      for (let next = views.next(); !next.done; next = views.next()) {
        if (!socket.write(next.value)) {
          socket.once('drain', send)
          return
        }
      }
      socket.end()
    }
    send()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Yields the same views with one bit flipped. */
function* corrupted(
  views: Iterable<Uint8Array>,
  wrong: number | undefined,
): Generator<Uint8Array, void, void> {
  let at = 0
  for (const view of views) {
    const index = wrong === undefined ? -1 : wrong - at
    at += view.byteLength
    if (index < 0 || index >= view.byteLength) {
      yield view
    } else {
      const copy = new Uint8Array(view)
      copy[index] = (copy[index] ?? 0) ^ 1
      yield copy
    }
  }
}
