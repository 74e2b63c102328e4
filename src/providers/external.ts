/** Pages in memory that the caller has already. */

import { ArgumentRangeError, ArgumentTypeError, type OptionNames, ownOptions } from '../errors.ts'
import { checkPageSize, type PageProvider } from '../pool/memory-provider.ts'
import { isWebAssemblyMemory } from './aligned-memory.ts'
import { checkLayout, DEFAULT_PAGE_SIZE, pagesOver } from './page-layout.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_DESTINATION_TOO_SMALL: 'ArgumentRangeError'
  }
}

/** An object whose `buffer` is its present memory, such as a `WebAssembly.Memory`. */
export interface BufferSource {
  /** The memory now. It may be another buffer later. */
  readonly buffer: ArrayBufferLike
}

/** Options of {@link externalProvider}. */
export interface ExternalOptions {
  /** Bytes of each page: a power of two, 4 KiB to 1 GiB. Default: 256 KiB. */
  readonly pageSize?: number
}

const NAMES: OptionNames<ExternalOptions> = { pageSize: true }

/**
 * Provides pages of the caller's memory, from its first byte to the last whole page. The memory is an
 * ArrayBuffer, a SharedArrayBuffer, a view, or a `WebAssembly.Memory`, which may grow. The caller keeps it,
 * and may unmap, transfer or shrink it at any time. From then on `pool.bytes()` and `frag.bytes` throw
 * NETMEM_DESTINATION_DETACHED, and connections of the pool fail with it. Close them and destroy the pool
 * first.
 *
 * @param memory Not marked untransferable, since that cannot be undone: a GPU buffer's mapped range
 *   that was marked could not be unmapped.
 * @param options `pageSize`: a power of two, 4 KiB to 1 GiB. Default: 256 KiB.
 * @throws NETMEM_INVALID_ARGUMENT for what is no memory.
 * @throws NETMEM_OUT_OF_RANGE for an invalid `pageSize`.
 * @throws NETMEM_DESTINATION_TOO_SMALL when not even one page fits.
 *
 * @example
 * ```ts
 * import { createPool, externalProvider } from 'netmem'
 *
 * const memory = new ArrayBuffer(1024 * 1024)
 * const pool = createPool(externalProvider(memory, { pageSize: 64 * 1024 }))
 * console.log(pool.capacity) // 16
 * ```
 */
export function externalProvider(
  memory: ArrayBufferLike | BufferSource,
  options: ExternalOptions = {},
): PageProvider {
  const own = ownOptions('externalProvider()', options, NAMES)
  const pageSize = checkPageSize(own.pageSize ?? DEFAULT_PAGE_SIZE)
  const buffer = bufferOf(memory)
  const first = buffer()
  const offset = ArrayBuffer.isView(memory) ? memory.byteOffset : 0
  const length = ArrayBuffer.isView(memory) ? memory.byteLength : first.byteLength
  const pages = Math.floor(length / pageSize)
  if (pages === 0) {
    throw new ArgumentRangeError(
      'NETMEM_DESTINATION_TOO_SMALL',
      `${length} bytes hold no page of ${pageSize}; give more memory or a smaller pageSize.`,
    )
  }
  const mayMove = first instanceof ArrayBuffer && !isWebAssemblyMemory(memory)
  const view = (slot: number): Uint8Array => {
    const present = buffer()
    const start = offset + slot * pageSize
    if (!isBuffer(present) || present.byteLength < start + pageSize) throw gone()
    return new Uint8Array(present, start, pageSize)
  }
  const provider = pagesOver(checkLayout('externalProvider()', { pages, pageSize }), mayMove, view)
  return first instanceof ArrayBuffer
    ? provider
    : { ...provider, shared: { buffer: first, offset } }
}

function bufferOf(memory: ArrayBufferLike | BufferSource): () => ArrayBufferLike {
  if (isBuffer(memory)) return () => memory
  if (isBuffer(memory?.buffer)) return () => memory.buffer
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    'externalProvider() takes an ArrayBuffer, a SharedArrayBuffer, a view of one, or a WebAssembly.Memory.',
  )
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  return (
    value instanceof ArrayBuffer ||
    (typeof SharedArrayBuffer === 'function' && value instanceof SharedArrayBuffer)
  )
}

function gone(): ArgumentTypeError {
  return new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    "The pool's memory was transferred, unmapped or shrunk. Destroy the pool before, and give bytes away with frag.copy(); of a WebAssembly.Memory that grows, pass the memory and not its buffer.",
  )
}
