/** Pages in memory that the caller has already. */

import { ArgumentRangeError, ArgumentTypeError } from '../errors.ts'
import { checkPageSize, type PageProvider } from '../pool/memory-provider.ts'
import { isWebAssemblyMemory } from './aligned-memory.ts'
import { checkLayout, DEFAULT_PAGE_SIZE, pagesOver } from './page-layout.ts'
import { markUntransferable } from './untransferable.ts'

/** Something whose `buffer` is its memory at this moment, such as a `WebAssembly.Memory`. */
export interface BufferSource {
  readonly buffer: ArrayBufferLike
}

/**
 * Provides pages of the caller's memory, from its first byte to the last whole page: any
 * ArrayBuffer, SharedArrayBuffer, view, or `WebAssembly.Memory` (which may grow meanwhile).
 * The memory stays the caller's; an ArrayBuffer is marked untransferable. `pageSize` is a power
 * of two, 256 KiB by default.
 * Throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, and NETMEM_DESTINATION_TOO_SMALL when not
 * even one page fits.
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
  options: { readonly pageSize?: number } = {},
): PageProvider {
  const pageSize = checkPageSize(options.pageSize ?? DEFAULT_PAGE_SIZE)
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
  const provider = pagesOver(
    checkLayout({ pages, pageSize }),
    mayMove,
    (slot) => new Uint8Array(buffer(), offset + slot * pageSize, pageSize),
  )
  if (first instanceof ArrayBuffer) {
    if (ArrayBuffer.isView(memory) || memory instanceof ArrayBuffer) markUntransferable(first)
    return provider
  }
  return { ...provider, shared: { buffer: first, offset } }
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
