/** Gets one body, or many small ones, in one of the ways that are compared. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createPool, hostProvider } from 'netmem'
import { getInto } from 'netmem/http'
import { hugeMemory, wakeBatching } from 'netmem/linux'
import { answer, keepToOneProcessor } from './processes.ts'

/** Ways to receive the body. */
export type HttpMode =
  | 'memory'
  | 'memory-huge'
  | 'memory-again'
  | 'fetch'
  | 'file'
  | 'pool'
  | 'sha256'
  | 'sha256-apart'
  | 'sha256-alone'
  | 'small'
  | 'small-undici'

export interface HttpRequest {
  readonly mode: HttpMode
  readonly url: string
  readonly bytes: number
  readonly file: string
  /** Path of a certificate to trust. */
  readonly ca?: string
  readonly connections?: number
  readonly requests?: number
}

const AT_ONCE = 8
const MIB = 1024 * 1024

// The server is this benchmark's own, so certificates are not checked.
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
process.removeAllListeners('warning')

answer(async (request: HttpRequest) => {
  if (request.requests !== undefined) return small(request, request.requests)
  const get = await prepared(request)
  const base = process.memoryUsage.rss()
  const startedAt = performance.now()
  await get()
  const seconds = (performance.now() - startedAt) / 1000
  const peak = process.resourceUsage().maxRSS * 1024 - base
  return {
    gbPerS: request.bytes / 1e9 / seconds,
    peakRatio: peak / request.bytes,
    peakMiB: peak / MIB,
  }
})
process.send?.('ready')

/** Does what is not measured, and returns what is. */
async function prepared({
  mode,
  url,
  bytes,
  file,
  ca,
  connections = 1,
}: HttpRequest): Promise<() => Promise<unknown>> {
  const tls = ca === undefined ? {} : { tls: { ca: readFileSync(ca) } }
  const options = { ...tls, connections, wakeBatching: await wakeBatching() }
  switch (mode) {
    case 'fetch':
      return async () => {
        const body = await (await fetch(url)).arrayBuffer()
        if (body.byteLength !== bytes) throw new Error(`${body.byteLength} bytes came`)
      }
    case 'file':
      return () => getInto(url, { path: file }, options)
    case 'pool': {
      const pool = createPool(hostProvider({ pages: 64 }))
      return () => getInto(url, { pool, onFrag: (frag) => frag.release() }, options)
    }
    case 'sha256':
    case 'sha256-apart': {
      // Another figure has fresh memory. This one waits for the hash.
      const memory = await hugeMemory(bytes, { shared: true })
      const get = (): Promise<unknown> => getInto(url, memory, { ...options, sha256: true })
      await get()
      // The thread that hashes is there by now, and stays free to run where this one does not.
      if (mode === 'sha256-apart') keepToOneProcessor(process.pid)
      return get
    }
    case 'sha256-alone': {
      const memory = (await hugeMemory(bytes)).fill(1)
      return async () => createHash('sha256').update(memory).digest('hex')
    }
    case 'memory-again': {
      const memory = new Uint8Array(bytes)
      await getInto(url, memory, options)
      return () => getInto(url, memory, options)
    }
    case 'memory-huge':
      return () => getInto(url, (_, length = 0) => hugeMemory(length), options)
    default:
      return () => {
        // The memory stays in place, so another thread may map it ahead.
        const fresh = { ...options, touchAhead: true }
        return getInto(url, (_, length) => new Uint8Array(length ?? 0), fresh)
      }
  }
}

async function small({ mode, url, bytes }: HttpRequest, requests: number): Promise<object> {
  const one = mode === 'small' ? ours(url, bytes) : await undicis(url, bytes)
  await rounds(one, Math.ceil(requests / 10))
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await rounds(one, requests)
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(before)
  return { perS: requests / seconds, cpuUs: (user + system) / requests }
}

async function rounds(one: (worker: number) => Promise<void>, requests: number): Promise<void> {
  let left = requests
  const worker = async (_: unknown, index: number): Promise<void> => {
    while (left-- > 0) await one(index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

function ours(url: string, bytes: number): (worker: number) => Promise<void> {
  const memories = Array.from({ length: AT_ONCE }, () => new Uint8Array(bytes))
  return async (worker) => {
    await getInto(url, memories[worker] ?? new Uint8Array(bytes))
  }
}

async function undicis(url: string, bytes: number): Promise<(worker: number) => Promise<void>> {
  const { Pool } = await import('undici')
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: AT_ONCE })
  return async () => {
    const { body } = await pool.request({ path: pathname, method: 'GET' })
    if ((await body.arrayBuffer()).byteLength !== bytes) throw new Error('another body came')
  }
}
