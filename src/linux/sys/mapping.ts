/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Mappings of files whose views stay valid when the mapping ends.
 *
 * An ArrayBuffer over foreign memory cannot be detached on Node.js 20, one of 6 GiB aborts it, and a view
 * of memory that is unmapped ends the process. So a mapping lies over the memory of a WebAssembly
 * instance (MAP_FIXED), which the engine owns and never moves. Unmapping puts anonymous memory in its
 * place. Old views see zeros, and their writes are lost.
 */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import { type FixedMemory, fixedMemory, fixedSharedMemory } from '../../providers/aligned-memory.ts'
import { MAP_SHARED } from './constants.ts'
import { ERRNO } from './errno.ts'
import { failureOf } from './failure.ts'
import { addressOf } from './libc.ts'
import { fileBytes, mapOver, memoryPageBytes, unmapInPlace } from './memory.ts'
import type { Fd } from './owned-fd.ts'

/** Most bytes of a mapping: the memory of a WebAssembly instance. */
const MAX_BYTES = 4 * 1024 ** 3
/** Memory of a WebAssembly instance begins at a multiple of this. */
const MEMORY_ALIGNMENT = 64 * 1024

/** Options of a mapping. */
export interface MapOptions {
  /** Byte of the file where the mapping begins, a multiple of the memory page. 0 by default. */
  readonly offset?: number
  /**
   * Makes the memory a `SharedArrayBuffer`, for several threads. Where one thread copies it should not
   * be: copying to shared memory at an unlike alignment takes twice as long.
   */
  readonly shared?: boolean
  /** Bytes of the file's huge pages, if it has such: the mapping is a multiple of them. */
  readonly hugePageBytes?: number
}

/** A file in memory. */
export interface Mapping<Buffer extends ArrayBufferLike> extends Disposable {
  /** The file's bytes. After `unmap()` they are zeros, and writing them changes no file. */
  readonly bytes: Uint8Array<Buffer>
  /** The `WebAssembly.Memory` that holds them from `bytes.byteOffset` on, for code that imports one. */
  readonly memory: FixedMemory<Buffer>
  /** Ends the mapping, in every thread. The bytes' memory remains until no view is left. */
  unmap(): void
}

/**
 * Maps `bytes` of a file for reading and writing. The descriptor may be closed afterwards. A file that
 * shrinks under its mapping ends the process at the next access: seal a memfd against it.
 *
 * @param bytes 1 to 4 GiB, with huge pages one of them less.
 * @throws NETMEM_OUT_OF_RANGE if the file is shorter, or a number is out of its range.
 * @throws NETMEM_SYSCALL_FAILED if the kernel refuses, or there is no address space.
 */
export function map(
  fd: Fd,
  bytes: number,
  options: MapOptions & { readonly shared: true },
): Mapping<SharedArrayBuffer>
export function map(
  fd: Fd,
  bytes: number,
  options?: MapOptions & { readonly shared?: false },
): Mapping<ArrayBuffer>
export function map(
  fd: Fd,
  bytes: number,
  options: MapOptions = {},
): Mapping<ArrayBuffer> | Mapping<SharedArrayBuffer> {
  const { offset = 0, shared = false, hugePageBytes = MEMORY_ALIGNMENT } = options
  checkInteger('bytes', bytes, 1, MAX_BYTES)
  checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER)
  const size = fileBytes(fd)
  if (size !== undefined && size < offset + bytes) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `The file has ${size} bytes, and the mapping would end at ${offset + bytes}. Make the file longer first: memory behind its end cannot be read.`,
    )
  }
  if (hugePageBytes > MEMORY_ALIGNMENT && bytes % hugePageBytes !== 0) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `A mapping with huge pages has whole ones: ${bytes} bytes are not a multiple of ${hugePageBytes}.`,
    )
  }
  // Memory begins at 64 KiB. For huge pages there has to be room to begin later.
  const memoryBytes = bytes + (hugePageBytes > MEMORY_ALIGNMENT ? hugePageBytes : 0)
  return shared
    ? mapping(fixedSharedMemory(memoryBytes), fd, bytes, offset, hugePageBytes)
    : mapping(fixedMemory(memoryBytes), fd, bytes, offset, hugePageBytes)
}

function mapping<Buffer extends ArrayBufferLike>(
  memory: FixedMemory<Buffer> | undefined,
  fd: Fd,
  bytes: number,
  offset: number,
  alignment: number,
): Mapping<Buffer> {
  if (memory === undefined) {
    const remedy = 'Drop mappings that are not needed: each takes 10 GiB of addresses.'
    throw failureOf(ERRNO.ENOMEM, 'mmap', `${bytes} bytes`, remedy)
  }
  const start = addressOf(new Uint8Array(memory.buffer))
  const unaligned = start % alignment
  const begin = unaligned === 0 ? 0 : alignment - unaligned
  const pageBytes = memoryPageBytes()
  const length = Math.ceil(bytes / pageBytes) * pageBytes
  mapOver(start + begin, length, fd, offset, MAP_SHARED)
  let mapped = true
  return {
    bytes: new Uint8Array(memory.buffer, begin, bytes),
    memory,
    unmap() {
      if (!mapped) return
      mapped = false
      unmapInPlace(start + begin, length)
    },
    [Symbol.dispose]() {
      this.unmap()
    },
  }
}
