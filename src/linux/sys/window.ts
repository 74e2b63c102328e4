/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Memory into which parts of files are mapped and unmapped at any place, while its views stay valid. As
 * in `mapping.ts`, it is the memory of a WebAssembly instance: where no file is mapped, anonymous memory
 * lies, which reads as zeros.
 */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import { fixedMemory } from '../../providers/aligned-memory.ts'
import { MAP_PRIVATE, MAP_SHARED } from './constants.ts'
import { ERRNO } from './errno.ts'
import { failureOf } from './failure.ts'
import { addressOf } from './libc.ts'
import { fileBytes, mapOver, memoryPageBytes, unmapInPlace } from './memory.ts'
import type { Fd } from './owned-fd.ts'

/** Memory that shows parts of files. */
export interface MemoryWindow extends Disposable {
  /** All of the memory. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /**
   * Shows `bytes` of a file, from its byte `offset` on, at byte `at`. All are multiples of the memory
   * page. A file that shrinks later ends the process at the next access: seal a memfd against it.
   *
   * @param writable false for memory whose writes stay in this process, and do not reach the file.
   * @throws NETMEM_OUT_OF_RANGE if the place or the file is shorter, or is no file.
   * @throws NETMEM_SYSCALL_FAILED if the kernel refuses: what was shown there before is gone or not.
   */
  show(at: number, fd: Fd, offset: number, bytes: number, writable: boolean): void
  /** Takes back what `show()` did: the place reads as zeros, and what is written there is lost. */
  hide(at: number, bytes: number): void
}

/**
 * Opens an empty window of `bytes`. It takes 10 GiB of addresses, and no memory.
 *
 * @throws NETMEM_SYSCALL_FAILED if this process has no addresses left.
 */
export function openMemoryWindow(bytes: number): MemoryWindow {
  const memory = fixedMemory(bytes)
  if (memory === undefined) {
    throw failureOf(ERRNO.ENOMEM, 'mmap', `${bytes} bytes`, 'End other windows: each has 10 GiB.')
  }
  const view = new Uint8Array(memory.buffer, 0, bytes)
  const start = addressOf(view)
  const pageBytes = memoryPageBytes()
  const check = (at: number, length: number): void => {
    checkInteger('at', at, 0, bytes)
    checkInteger('bytes', length, 0, bytes - at)
    if (at % pageBytes === 0 && length % pageBytes === 0) return
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `A window shows whole memory pages of ${pageBytes} bytes, not ${length} bytes at ${at}.`,
    )
  }
  return {
    bytes: view,
    show(at, fd, offset, length, writable) {
      check(at, length)
      checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER)
      checkFile(fd, offset + length)
      // A private mapping of a file that may not be written can be written without a fault.
      mapOver(start + at, length, fd, offset, writable ? MAP_SHARED : MAP_PRIVATE)
    },
    hide(at, length) {
      check(at, length)
      if (length > 0) unmapInPlace(start + at, length)
    },
    [Symbol.dispose]() {
      this.hide(0, bytes - (bytes % pageBytes))
    },
  }
}

/** Throws unless the descriptor is a file of `end` bytes or more: an access behind its end is fatal. */
function checkFile(fd: Fd, end: number): void {
  const size = fileBytes(fd)
  if (size !== undefined && size >= end) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    size === undefined
      ? 'A window shows files alone: a memfd, or one of /dev/shm.'
      : `The file has ${size} bytes, and a window was to show it up to byte ${end}.`,
  )
}
