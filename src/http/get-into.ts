/** One call from a URL to memory, a file or a pool: the face of this folder. */

import { type OptionNames, ownOptions } from '../errors.ts'
import { checkOptionalBoolean, invalid } from '../net/arguments.ts'
import { aborted } from '../net/connection-error.ts'
import { PagePool } from '../pool/page-pool.ts'
import { AbortScope } from './client/abort-scope.ts'
import { parseUrl } from './client/request.ts'
import { type FileDestination, FileTarget } from './transfer/file/file-target.ts'
import { type MakeMemory, type Memory, MemoryTarget } from './transfer/memory-target.ts'
import type { GetOptions } from './transfer/options.ts'
import { type FragDestination, PoolTarget } from './transfer/pool-target.ts'
import type { GetResult } from './transfer/result.ts'
import { settingsOf } from './transfer/settings.ts'
import type { Target } from './transfer/target.ts'
import { Transfer } from './transfer/transfer.ts'

/** Destination of a body. */
export type GetDestination = Memory | MakeMemory | FileDestination | FragDestination

/**
 * Gets the body of `url`, which is http: or https:, and resolves when all of it is in its
 * destination: memory, which has to be large enough; a function of the response's head that
 * returns memory; a file; or a pool, whose frags are handed to a function.
 *
 * Into memory the socket reads by itself: what is copied is what shared the buffer with the
 * response's head, 32 KiB at the most, and with each chunk's edge where a body is chunked. A
 * transfer that breaks goes on from its last byte, if the server says which version of the body
 * it is sending (`ETag`, `Last-Modified`), and from its start otherwise.
 * A body that is neither chunked nor of a length that the server says ends with its connection, and
 * nobody can tell its end from a break then: only `sha256` says that it is complete.
 *
 * Memory that was used before is filled two to ten times as fast as fresh memory, which the system
 * has to map page by page first: whoever gets one large body after the other passes the same
 * memory, or a part of it, each time; `hugeMemory` of netmem/linux is mapped in larger pages, and
 * like shared memory it is mapped ahead of the body by another thread, as `touchAhead` has it. When
 * a transfer fails, what the body has not reached of its memory may have been zeroed.
 *
 * Rejects, and never leaves a file that is not complete, with NETMEM_CONNECT_FAILED, NETMEM_TLS,
 * NETMEM_TIMEOUT, NETMEM_CONNECTION_RESET, NETMEM_CONNECTION_FAILED, NETMEM_ENDED_EARLY,
 * NETMEM_ABORTED; NETMEM_HTTP_STATUS for a status of 300 and more, NETMEM_HTTP_PROTOCOL,
 * NETMEM_HTTP_HEAD_TOO_LARGE, NETMEM_HTTP_REDIRECTS, NETMEM_HTTP_CONTENT_CODING,
 * NETMEM_HTTP_RANGE, NETMEM_HTTP_CHANGED, NETMEM_HTTP_FILE, NETMEM_HTTP_NEEDS_UNDICI,
 * NETMEM_DIGEST_MISMATCH, NETMEM_DIGEST_FAILED; NETMEM_DESTINATION_TOO_SMALL,
 * NETMEM_DESTINATION_DETACHED, NETMEM_POOL_DESTROYED, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE.
 *
 * @example
 * ```ts
 * import { getInto } from 'netmem/http'
 *
 * async function download(url: string, sha256: string): Promise<SharedArrayBuffer> {
 *   let body = new SharedArrayBuffer(0)
 *   const make = (_: unknown, length = 0): SharedArrayBuffer => {
 *     body = new SharedArrayBuffer(length)
 *     return body
 *   }
 *   await getInto(url, make, { sha256, connections: 4 })
 *   return body
 * }
 * ```
 */
export async function getInto(
  url: string | URL,
  destination: GetDestination,
  options: GetOptions = {},
): Promise<GetResult> {
  const began = performance.now()
  const target = parseUrl(url)
  // Setting it parses the URL once more.
  if (target.hash !== '') target.hash = ''
  if (Object.hasOwn(Object(options), 'resume')) {
    throw invalid('resume belongs to the destination: { path, resume: true }.')
  }
  const settings = settingsOf(options)
  const abort = new AbortScope(settings.signal, aborted)
  try {
    abort.check()
    const into = targetOf(target, destination, settings, abort)
    return await new Transfer(target, into, settings, abort, began).run()
  } finally {
    abort.end()
  }
}

function targetOf(
  url: URL,
  destination: GetDestination,
  settings: ReturnType<typeof settingsOf>,
  abort: AbortScope,
): Target {
  if (isMemory(destination)) return new MemoryTarget(destination, settings, abort)
  if (typeof destination === 'object' && destination !== null) {
    if (isFile(destination)) {
      const file = ownOptions('A file as destination', destination, FILE_OPTIONS)
      if (!/^[^\0]+$/.test(file.path)) throw invalid('A path is not empty, and has no NUL.')
      checkOptionalBoolean('resume', file.resume)
      if (file.pool !== undefined) checkPool(file.pool)
      return new FileTarget(file, url, settings, abort)
    }
    if (isPool(destination)) {
      const through = ownOptions('A pool as destination', destination, POOL_OPTIONS)
      checkPool(through.pool)
      return new PoolTarget(through, settings, abort)
    }
  }
  throw invalid(
    'A destination is memory, a function that returns memory, { path }, or { pool, onFrag }.',
  )
}

const FILE_OPTIONS: OptionNames<FileDestination> = {
  path: true,
  resume: true,
  pool: true,
  open: true,
}
const POOL_OPTIONS: OptionNames<FragDestination> = { pool: true, onFrag: true }

function isFile(destination: object): destination is FileDestination {
  return Object.hasOwn(destination, 'path') && typeof Reflect.get(destination, 'path') === 'string'
}

function isPool(destination: object): destination is FragDestination {
  const own = Object.hasOwn(destination, 'onFrag')
  return own && typeof Reflect.get(destination, 'onFrag') === 'function'
}

function isMemory(destination: GetDestination): destination is Memory | MakeMemory {
  return (
    typeof destination === 'function' ||
    destination instanceof Uint8Array ||
    destination instanceof ArrayBuffer ||
    destination instanceof SharedArrayBuffer
  )
}

function checkPool(pool: unknown): void {
  if (pool instanceof PagePool && pool.kind === 'page') return
  throw invalid('pool must be a pool of pages, made by createPool().')
}
