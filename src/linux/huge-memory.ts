/** Fresh memory in huge pages: mapped 2 MiB at a time when it is first written to, not 4 KiB. */

import { checkInteger, ownOptions } from '../errors.ts'
import { alignedBuffer } from '../providers/aligned-memory.ts'
import { addressOf, LinuxError, loadLibc, MADV_HUGEPAGE, madvise } from './sys/index.ts'

/** Bytes of a huge page on x86-64 and most arm64 kernels (Documentation/admin-guide/mm/transhuge.rst). */
const HUGE_PAGE_BYTES = 2 * 1024 * 1024

/**
 * Allocates fresh memory that begins at a huge page, and asks the kernel for huge pages behind it
 * (madvise(2), MADV_HUGEPAGE). The kernel maps memory page by page when it is first written. For a
 * large body that can take longer than the network. Where transparent huge pages are off, which
 * `netmem doctor` shows, or where none are free, the result is ordinary memory. Memory that is not
 * shared belongs to a WebAssembly instance up to 4 GiB less 2 MiB: `postMessage` copies it and cannot
 * transfer it.
 *
 * The first call of a thread loads koffi. A worker that is terminated during that call aborts the
 * whole process.
 *
 * @param bytes 0 to 2^53 − 1.
 * @param options - `shared` makes the result a `SharedArrayBuffer`, for threads.
 * @throws NETMEM_LINUX_UNAVAILABLE, NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE, and the engine's
 *   RangeError if there is not enough memory, all as rejections.
 *
 * @example
 * ```ts
 * import { getInto } from 'netmem/http'
 * import { hugeMemory } from 'netmem/linux'
 *
 * const url = 'http://127.0.0.1:5202/weights'
 * let body = new Uint8Array(0)
 * await getInto(url, async (_head, length = 0) => {
 *   body = await hugeMemory(length)
 *   return body
 * })
 * ```
 */
export function hugeMemory(
  bytes: number,
  options: { readonly shared: true },
): Promise<Uint8Array<SharedArrayBuffer>>
export function hugeMemory(
  bytes: number,
  options?: { readonly shared?: false },
): Promise<Uint8Array<ArrayBuffer>>
export async function hugeMemory(
  bytes: number,
  options: { readonly shared?: boolean } = {},
): Promise<Uint8Array> {
  const { shared = false } = ownOptions('hugeMemory()', options, { shared: true })
  checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER)
  loadLibc()
  if (bytes < HUGE_PAGE_BYTES) {
    return new Uint8Array(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
  }
  // Engines choose the start of the memory. One more huge page leaves room to begin at a huge page.
  const size = bytes + HUGE_PAGE_BYTES
  const buffer = shared ? new SharedArrayBuffer(size) : alignedBuffer(size)
  const start = addressOf(new Uint8Array(buffer))
  const unaligned = start % HUGE_PAGE_BYTES
  const offset = unaligned === 0 ? 0 : HUGE_PAGE_BYTES - unaligned
  // Whole ones only: what is not written to is not to be there.
  const huge = bytes - (bytes % HUGE_PAGE_BYTES)
  try {
    madvise(start + offset, huge, MADV_HUGEPAGE)
  } catch (error) {
    // The call is advice. A kernel without huge pages refuses it, which costs nothing but the speed.
    if (!(error instanceof LinuxError)) throw error
  }
  return new Uint8Array(buffer, offset, bytes)
}
