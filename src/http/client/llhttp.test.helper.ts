/** undici's parser, llhttp, driven by hand: what it takes a response for. Not published. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

/** A response as llhttp reads it. */
export interface Parsed {
  readonly status: number
  readonly reason: string
  /** Names in lower case, and values. */
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer
  /** Bytes that belong to the response. */
  readonly end: number
}

/** Exports of the module that the tests use. The header of llhttp has their meaning. */
interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer }
  malloc(bytes: number): number
  free(at: number): void
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, bytes: number): number
  llhttp_finish(parser: number): number
  llhttp_get_error_pos(parser: number): number
  llhttp_get_error_reason(parser: number): number
}

/** Declares a global that the types of Node.js 20 do not have. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

const RESPONSE = 2
const OK = 0
const PAUSED = 21

/** State of the response that is being parsed. The module's callbacks are one set for all parsers. */
let names: string[] = []
let values: string[] = []
let reason = ''
let status = 0
let body: Buffer[] = []
let complete = false

const text = (at: number, bytes: number): string =>
  Buffer.from(llhttp.memory.buffer, at, bytes).toString('latin1')

const env = {
  wasm_on_url: () => OK,
  wasm_on_message_begin: () => OK,
  wasm_on_status: (_: number, at: number, bytes: number) => {
    reason += text(at, bytes)
    return OK
  },
  wasm_on_header_field: (_: number, at: number, bytes: number) => {
    // A name that comes in pieces is one name until its value begins.
    if (names.length > values.length) names.push((names.pop() ?? '') + text(at, bytes))
    else names.push(text(at, bytes))
    return OK
  },
  wasm_on_header_value: (_: number, at: number, bytes: number) => {
    if (values.length === names.length) values.push((values.pop() ?? '') + text(at, bytes))
    else values.push(text(at, bytes))
    return OK
  },
  wasm_on_headers_complete: (_: number, code: number) => {
    status = code
    return OK
  },
  wasm_on_body: (_: number, at: number, bytes: number) => {
    body.push(Buffer.from(text(at, bytes), 'latin1'))
    return OK
  },
  wasm_on_message_complete: () => {
    complete = true
    return PAUSED
  },
}

function load(): Llhttp {
  const source: unknown = createRequire(import.meta.url)('undici/lib/llhttp/llhttp-wasm.js')
  assert.ok(Buffer.isBuffer(source), 'undici has its parser there')
  const instance = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(source)), { env })
  return instance.exports as Llhttp
}

const llhttp = load()

/**
 * Parses the response that `bytes` begin with, after which the connection ends if `ended`. Returns the
 * reason where llhttp refuses it, and `undefined` where it waits for more.
 */
export function parseWithLlhttp(bytes: Buffer, ended: boolean): Parsed | string | undefined {
  names = []
  values = []
  reason = ''
  body = []
  complete = false
  const parser = llhttp.llhttp_alloc(RESPONSE)
  const memory = llhttp.malloc(bytes.length)
  try {
    new Uint8Array(llhttp.memory.buffer, memory, bytes.length).set(bytes)
    const result = llhttp.llhttp_execute(parser, memory, bytes.length)
    let end = bytes.length
    if (result === PAUSED) end = llhttp.llhttp_get_error_pos(parser) - memory
    else if (result !== OK) return reasonOf(parser)
    if (!complete && ended && llhttp.llhttp_finish(parser) !== PAUSED) return reasonOf(parser)
    if (!complete) return undefined
    const fields = names.map((name, at) => [name.toLowerCase(), values[at] ?? ''] as const)
    return { status, reason, fields, body: Buffer.concat(body), end }
  } finally {
    llhttp.free(memory)
    llhttp.llhttp_free(parser)
  }
}

function reasonOf(parser: number): string {
  const at = llhttp.llhttp_get_error_reason(parser)
  const all = new Uint8Array(llhttp.memory.buffer, at)
  return text(at, all.indexOf(0))
}
