/** Content codings (RFC 9110, 8.4): their names in heads, and bodies that are decoded as they arrive. */

import { pipeline, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'
import { isNetmemError } from '../../errors.ts'
import { HttpError, protocolError } from '../http-error.ts'
import type { Body } from './body.ts'
import { CopiedBody } from './copied-body.ts'
import type { Exchange, ExchangeContext } from './exchange.ts'
import { excerpt } from './field-line.ts'
import { HeaderList } from './header-list.ts'
import type { ResponseHead } from './response-head.ts'

/**
 * Values of `Content-Encoding` that name no coding: words for no coding, character sets, and marks that
 * an object store keeps of an upload.
 */
const NO_CODING =
  /^(identity|none|binary|aws-chunked|(charset=.*)|utf-?8|(us-)?ascii|iso-8859-\d\d?|windows-125\d)?$/

/** Limit of codings of one body. No server has a reason for as many. */
const MAX_CODINGS = 4

type Decoder = (start: Uint8Array) => Transform

const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['br', () => createBrotliDecompress()],
  // Many servers leave out zlib's wrapper (RFC 9110, 8.4.1.2).
  ['deflate', (start) => (hasZlibHeader(start) ? createInflate() : createInflateRaw())],
])

/** Fields of a coded body that do not hold for the decoded one. */
const OF_CODED: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-encoding',
  'content-length',
  'etag',
  'last-modified',
])

/** Returns the codings of a body, in the order in which they were applied. */
function codingsOf({ headers }: ResponseHead): string[] {
  const text = headers.get('content-encoding')
  if (text === undefined) return []
  const names = text.split(',').map((name) => name.trim().toLowerCase())
  return names.filter((name) => !NO_CODING.test(name))
}

/** True for a body that is not coded. */
export function isIdentity(head: ResponseHead): boolean {
  return codingsOf(head).length === 0
}

/**
 * Returns the error NETMEM_HTTP_CONTENT_CODING of a coded body, or `undefined` for a body that is not
 * coded.
 */
export function codingError(head: ResponseHead): HttpError | undefined {
  const codings = codingsOf(head)
  if (codings.length === 0) return undefined
  const coding = excerpt(codings.join(', '))
  const known = decodersOf(codings) !== undefined
  return new HttpError(
    'NETMEM_HTTP_CONTENT_CODING',
    known
      ? `The server sends its body coded as ${coding} without being asked: set decompress: true to decode it, or raw: true to take it as it is.`
      : `The server sends its body coded as ${coding}, which cannot be decoded here: set raw: true to take it as it is.`,
    { status: head.status },
  )
}

/**
 * Returns `response` with its body decoded, if it is a whole body in known codings. Its frags come from
 * the pool for decoded bytes, also if it is not decoded.
 */
export function decoded(response: Exchange, context: ExchangeContext): Exchange {
  const { pool, decodedPool } = context
  const { head, body } = response
  const whole = head.status < 300 && head.status !== 206
  const decoders = (whole ? decodersOf(codingsOf(head)) : undefined) ?? []
  if (decoders.length === 0 && pool === decodedPool) return response
  const chunks = decodedChunks(body, decoders)
  const length = decoders.length === 0 ? body.length : undefined
  const copied = new CopiedBody(chunks, length, decodedPool, context)
  return {
    ...response,
    head: decoders.length === 0 ? head : headOfDecoded(head),
    body: copied,
    // A decoder finds the end of its data. But a body without bytes is empty in every coding.
    get endKnown() {
      return response.endKnown || (decoders.length > 0 && copied.received > 0)
    },
    end: () => {
      response.end()
      copied.drop()
      // Frees the decoders' memory. Their rest is not wanted.
      chunks.return(undefined).catch(() => {})
    },
  }
}

function headOfDecoded(head: ResponseHead): ResponseHead {
  const kept = [...head.headers].filter(([name]) => !OF_CODED.has(name))
  const names = kept.map(([name]) => name)
  const values = kept.map(([, value]) => value)
  return { ...head, headers: new HeaderList(names, values) }
}

function decodersOf(codings: readonly string[]): Decoder[] | undefined {
  const decoders = codings.flatMap((coding) => DECODERS.get(coding) ?? [])
  const areKnown = decoders.length === codings.length && decoders.length < MAX_CODINGS
  // Codings are undone in the opposite order.
  return areKnown ? decoders.reverse() : undefined
}

type Chunks = AsyncGenerator<Uint8Array, void, void>

async function* decodedChunks(body: Body, decoders: readonly Decoder[]): Chunks {
  const coded = chunksOf(body)
  let chunks = coded
  for (const decoder of decoders) chunks = decode(chunks, decoder)
  try {
    yield* chunks
  } catch (cause) {
    throw decodingError(cause)
  }
  // Drop bytes behind the coding's end. The body has to end as its framing says.
  await coded.return(undefined)
  for (let frag = await body.next(); frag !== undefined; frag = await body.next()) frag.release()
}

async function* chunksOf(body: Body): Chunks {
  for (let frag = await body.next(); frag !== undefined; frag = await body.next()) {
    // Copy: the decoder keeps its input until its output is taken, which may need this pool's pages.
    const bytes = new Uint8Array(frag.bytes)
    frag.release()
    yield bytes
  }
}

async function* decode(coded: Chunks, decoder: Decoder): Chunks {
  const { value: first } = await coded.next()
  // Servers name a coding and send no bytes: an empty body.
  if (first === undefined) return
  const decoding = decoder(first)
  // The loop over the decoded chunks gets its error.
  pipeline(joined(first, coded), decoding, () => {})
  yield* decoding
}

async function* joined(first: Uint8Array, rest: Chunks): Chunks {
  yield first
  yield* rest
}

/** RFC 1950, 2.2, and RFC 1951, 3.2.3: no encoder begins a body without the wrapper this way. */
function hasZlibHeader([first = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8
}

function decodingError(cause: unknown): unknown {
  if (isNetmemError(cause)) return cause
  const message = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause)
  return protocolError(`The body cannot be decoded: ${message}`)
}
