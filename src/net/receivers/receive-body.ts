/** Receives request bodies of `node:http` servers into pages or one destination. */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { ArgumentRangeError, ConnectionError, isNetmemError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { PagePool } from '../../pool/page-pool.ts'
import { invalid } from '../arguments.ts'
import { connectionError } from '../connection-error.ts'
import { ChunkFrags } from './chunk-frags.ts'
import { destinationGone, destinationView } from './destination-memory.ts'

/**
 * Receives the body of a request of a `node:http` server. Node's parser owns the bytes, so each is
 * copied once. Use `adopt` or `connect` to avoid the copy where the protocol is yours.
 *
 * Into a destination, resolves with the number of bytes, which may be fewer than it holds.
 * Answering the request is up to the caller.
 *
 * Through a pool, yields the bytes as frags of at most a page. It holds no memory while it waits
 * for the client, and stops reading from the client while the pool is dry. To leave a body unread,
 * answer with `Connection: close`, or destroy the request.
 *
 * @throws NETMEM_DESTINATION_TOO_SMALL, at once if `Content-Length` says so.
 * @throws NETMEM_DESTINATION_DETACHED if the destination was transferred or shrunk.
 * @throws NETMEM_ENDED_EARLY if the client ends before the body does.
 * @throws NETMEM_POOL_DESTROYED, NETMEM_INVALID_ARGUMENT.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { receiveBody } from 'netmem/net'
 *
 * const server = createServer(async (request, response) => {
 *   let bytes = 0
 *   for await (const frag of receiveBody(request, pool)) {
 *     bytes += frag.length
 *     frag.release()
 *   }
 *   response.end(`${bytes} bytes\n`)
 * })
 * ```
 */
export function receiveBody(request: IncomingMessage, pool: PagePool<Page>): AsyncIterable<HostFrag>
export function receiveBody(
  request: IncomingMessage,
  destination: Uint8Array | ArrayBufferLike,
): Promise<number>
export function receiveBody(
  request: IncomingMessage,
  target: PagePool<Page> | Uint8Array | ArrayBufferLike,
): AsyncIterable<HostFrag> | Promise<number> {
  return target instanceof PagePool ? bodyFrags(request, target) : bodyInto(request, target)
}

async function bodyInto(
  request: IncomingMessage,
  destination: Uint8Array | ArrayBufferLike,
): Promise<number> {
  checkRequest(request)
  const announced = Number(request.headers['content-length'] ?? 0)
  const view = destinationView(destination, undefined)
  if (announced > view.byteLength) destinationView(destination, announced)
  const size = view.byteLength
  let bytes = 0
  for await (const chunk of chunksOf(request)) {
    if (view.byteLength !== size) throw destinationGone(bytes, size)
    if (bytes + chunk.byteLength > size) {
      throw new ArgumentRangeError(
        'NETMEM_DESTINATION_TOO_SMALL',
        `The body is larger than the destination of ${size} bytes.`,
      )
    }
    view.set(chunk, bytes)
    bytes += chunk.byteLength
  }
  return bytes
}

async function* bodyFrags(
  request: IncomingMessage,
  pool: PagePool<Page>,
): AsyncGenerator<HostFrag, void, void> {
  checkRequest(request)
  const frags = new ChunkFrags(pool)
  try {
    for await (const chunk of chunksOf(request)) {
      for (let at = 0; at < chunk.byteLength; ) {
        const frag = frags.take(chunk.subarray(at))
        if (frag === undefined) {
          await memoryOrBreak(frags, request)
        } else {
          at += frag.length
          yield frag
        }
      }
    }
  } finally {
    frags.end()
  }
}

/** Waits for memory. Rejects if the client ends the request early. */
async function memoryOrBreak(frags: ChunkFrags, request: IncomingMessage): Promise<void> {
  let settle = (): void => {}
  const closed = new Promise<void>((resolve) => {
    settle = resolve
    if (request.destroyed) resolve()
    else request.once('close', resolve)
  })
  const available = frags.whenAvailable()
  // A complete request is closed, too, and still needs memory.
  await (request.complete ? available : Promise.race([available, closed]))
  request.off('close', settle)
  if (request.destroyed && !request.complete) throw endedEarly(undefined)
}

/** Throws NETMEM_INVALID_ARGUMENT for other values. Requests of `node:http2` are accepted, too. */
function checkRequest(request: IncomingMessage): void {
  if (request instanceof Readable && typeof request.headers === 'object') return
  throw invalid('receiveBody() takes a request of a node:http server.')
}

async function* chunksOf(request: IncomingMessage): AsyncGenerator<Uint8Array, void, void> {
  try {
    // Leaving the loop does not destroy the request, which still needs an answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (chunk instanceof Uint8Array) yield chunk
      else throw invalid('The request decodes its body. Leave out setEncoding() to receive bytes.')
    }
  } catch (cause) {
    if (isNetmemError(cause)) throw cause
    throw request.complete ? connectionError(cause) : endedEarly(cause)
  }
  if (!request.complete) throw endedEarly(undefined)
}

function endedEarly(cause: unknown): ConnectionError {
  return new ConnectionError(
    'NETMEM_ENDED_EARLY',
    'The client ended the request before the end of its body.',
    {
      cause,
    },
  )
}
