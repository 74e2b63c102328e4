/** `getInto`: one call from a URL to memory, a file or a pool. */

import { type OptionNames, ownOptions } from '../errors.ts'
import { checkOptionalBoolean, invalid } from '../net/internal.ts'
import { PagePool } from '../pool/page-pool.ts'
import { AbortScope } from './client/abort-scope.ts'
import { parseUrl } from './client/request.ts'
import { type FileDestination, FileTarget } from './transfer/file/file-target.ts'
import { type MakeMemory, type Memory, MemoryTarget } from './transfer/memory-target.ts'
import type { GetOptions } from './transfer/options.ts'
import { type FragDestination, PoolTarget } from './transfer/pool-target.ts'
import type { GetResult } from './transfer/result.ts'
import { type Settings, settingsOf } from './transfer/settings.ts'
import type { Target } from './transfer/target.ts'
import { Transfer } from './transfer/transfer.ts'

/** Destination of a body. */
export type GetDestination = Memory | MakeMemory | FileDestination | FragDestination

/**
 * Gets the body of `url` into `destination`, and resolves when all of it is there.
 *
 * The socket reads into memory by itself. Only bytes that arrive with the response's head, 32 KiB at
 * most, or with the edge of a chunk are copied. A transfer that breaks continues from its last byte if
 * the server names the version of the body (`ETag`, `Last-Modified`), and begins anew otherwise.
 *
 * A body without a declared length ends with its connection, which looks like a break. Only `sha256`
 * proves that it is complete.
 *
 * Memory that was used before fills two to ten times as fast as fresh memory, which the kernel has to
 * map first. So pass the same memory for one large body after the other. Shared memory and `hugeMemory`
 * of netmem/linux are mapped ahead by another thread, as with `touchAhead`. A transfer that fails may
 * leave zeros in memory that the body has not reached.
 *
 * @param url - Absolute, http: or https:.
 * @param destination - Memory of at least the body's length, a function of the head that returns
 * memory, a file, or a pool with a function that gets its frags. A file that is not complete is never
 * left at its path.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for wrong arguments.
 * @throws NETMEM_CONNECT_FAILED, NETMEM_TLS, NETMEM_TIMEOUT, NETMEM_CONNECTION_RESET,
 * NETMEM_CONNECTION_FAILED, NETMEM_ENDED_EARLY for connections that fail after all retries.
 * @throws NETMEM_ABORTED when `signal` aborts.
 * @throws NETMEM_HTTP_STATUS for a status of 300 or more, NETMEM_HTTP_REDIRECTS for redirects that
 * lead nowhere.
 * @throws NETMEM_HTTP_PROTOCOL, NETMEM_HTTP_HEAD_TOO_LARGE, NETMEM_HTTP_CONTENT_CODING,
 * NETMEM_HTTP_RANGE for responses that cannot be used, NETMEM_HTTP_CHANGED for a changed body.
 * @throws NETMEM_DIGEST_MISMATCH, NETMEM_DIGEST_FAILED for a body whose digest is wrong or unknown.
 * @throws NETMEM_DESTINATION_TOO_SMALL, NETMEM_DESTINATION_DETACHED, NETMEM_POOL_DRY,
 * NETMEM_POOL_DESTROYED, NETMEM_HTTP_FILE for a destination that cannot take the body.
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
  // Setting the hash parses the URL again.
  if (target.hash !== '') target.hash = ''
  if (Object.hasOwn(Object(options), 'resume')) {
    throw invalid('resume belongs to the destination: { path, resume: true }.')
  }
  const settings = settingsOf(options)
  const abort = new AbortScope(settings.signal)
  try {
    abort.check()
    const into = targetOf(target, destination, settings)
    return await new Transfer(target, into, settings, abort, began).run()
  } finally {
    abort.end()
  }
}

function targetOf(url: URL, destination: GetDestination, settings: Settings): Target {
  if (isMemory(destination)) return new MemoryTarget(destination, settings)
  if (typeof destination === 'object' && destination !== null) {
    if (isFile(destination)) {
      const file = ownOptions('A file as destination', destination, FILE_OPTIONS)
      if (!/^[^\0]+$/.test(file.path)) throw invalid('A path is not empty, and has no NUL.')
      checkOptionalBoolean('resume', file.resume)
      if (file.pool !== undefined) checkPool(file.pool)
      return new FileTarget(file, url, settings)
    }
    if (isPool(destination)) {
      const through = ownOptions('A pool as destination', destination, POOL_OPTIONS)
      checkPool(through.pool)
      return new PoolTarget(through, settings)
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
