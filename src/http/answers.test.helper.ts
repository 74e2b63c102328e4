/** Replies that the tests of answers send, by hand. Not published. */

import type { GetDestination } from './get-into.ts'
import { content, serveRaw, type TestServer, withPool } from './http.test.helper.ts'

/** Bytes of the body. */
export const SIZE: number = content.length
/** Bytes of the body before a break. */
export const BROKEN_AT = 500_000

/** Response of a server: fields besides those that frame the body. */
export interface Reply {
  readonly status: number
  readonly fields: readonly string[]
  readonly body: Buffer
  /** Framing of the body. `length` by default. */
  readonly framing?: 'length' | 'chunked' | 'close'
}

/** Answers to a request for bytes `first` to `last`. */
export type Answer = (first: number, last: number) => Reply

export const ETAG = 'ETag: "1"'

export function part(
  first: number,
  last: number,
  { fields = [ETAG], total = `${SIZE}`, status = 206, framing }: PartOptions = {},
): Reply {
  const range = `Content-Range: bytes ${first}-${last}/${total}`
  const body = content.subarray(first, last + 1)
  return { status, fields: [range, ...fields], body, ...(framing && { framing }) }
}

interface PartOptions {
  readonly fields?: readonly string[]
  readonly total?: string
  readonly status?: number
  readonly framing?: Reply['framing']
}

export function whole(fields: readonly string[] = [ETAG]): Reply {
  return { status: 200, fields, body: content }
}

export function nothing(status: number, ...fields: string[]): Reply {
  return { status, fields, body: Buffer.alloc(0) }
}

/** The bytes of a reply, as far as `limit` goes in its body. */
export function bytesOf(
  { status, fields, body, framing = 'length' }: Reply,
  limit: number = SIZE,
): Buffer {
  const framed = {
    length: [`Content-Length: ${body.length}`],
    chunked: ['Transfer-Encoding: chunked'],
    close: ['Connection: close'],
  }[framing]
  const head = `HTTP/1.1 ${status} X\r\n${[...fields, ...framed].join('\r\n')}\r\n\r\n`
  const sent = body.subarray(0, limit)
  const chunks: Uint8Array[] = [Buffer.from(head, 'latin1')]
  if (framing === 'chunked') chunks.push(Buffer.from(`${sent.length.toString(16)}\r\n`))
  chunks.push(sent)
  if (framing === 'chunked') chunks.push(Buffer.from('\r\n0\r\n\r\n'))
  return Buffer.concat(chunks)
}

/** A server that answers requests for ranges with `ranged`, and others with what `plain` makes. */
export function server(
  ranged: Answer,
  plain: (count: number) => Reply & { limit?: number },
): Promise<TestServer> {
  let plains = 0
  return serveRaw((socket, request) => {
    const asked = /^range: bytes=(\d+)-(\d*)/im.exec(request)
    const last = asked?.[2] ? Math.min(Number(asked[2]), SIZE - 1) : SIZE - 1
    const reply = asked === null ? plain(++plains) : ranged(Number(asked[1]), last)
    const limit = 'limit' in reply && typeof reply.limit === 'number' ? reply.limit : SIZE
    socket.write(bytesOf(reply, limit))
    if (limit < SIZE || reply.framing === 'close') socket.end()
  })
}

/** A destination of pages, and what came. */
type Collected = { readonly parts: Buffer[]; readonly destination: GetDestination }

export async function intoPool(run: (collected: Collected) => Promise<void>): Promise<void> {
  await withPool(async (pool) => {
    const parts: Buffer[] = []
    const onFrag = (frag: Disposable & { bytes: Uint8Array }): void => {
      parts.push(Buffer.from(frag.bytes))
      frag[Symbol.dispose]()
    }
    await run({ parts, destination: { pool, onFrag } })
  })
}

export const COMPLETE = 'complete'
export const CHANGED = 'NETMEM_HTTP_CHANGED'
export const RANGE = 'NETMEM_HTTP_RANGE'
export const STATUS = 'NETMEM_HTTP_STATUS'
