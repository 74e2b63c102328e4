/**
 * Functions of the C library, called through koffi. This file alone loads koffi, an optional
 * dependency. Each thread loads it once. A thread that is terminated while it loads koffi aborts the
 * process: koffi 3.3 reports the calls that fail then as fatal errors of Node.js. JavaScript cannot
 * delay a termination, so the docs of the callers say so.
 */

import { LinuxError } from './linux-error.ts'

/** Functions of this process's C library. A result of -1 is a failure. */
export interface Libc {
  readonly madvise: (address: bigint, bytes: number, advice: number) => unknown
  readonly setsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Int32Array,
    valueBytes: number,
  ) => unknown
  /** Returns the address of a view's first byte. */
  readonly address: (view: Uint8Array) => bigint
}

let loading: Promise<Libc> | undefined

/** Rejects with NETMEM_LINUX_UNAVAILABLE where this is not Linux, or koffi is not installed. */
export function libc(): Promise<Libc> {
  loading ??= load()
  return loading
}

async function load(): Promise<Libc> {
  if (process.platform !== 'linux') {
    throw unavailable(`netmem/linux makes Linux system calls, and this is ${process.platform}`)
  }
  try {
    const { default: koffi } = await import('koffi')
    const library = koffi.load(null)
    return {
      madvise: library.func('int madvise(uint64_t, size_t, int)'),
      setsockopt: library.func('int setsockopt(int, int, int, const int32_t *, uint32_t)'),
      address: (view) => koffi.address(view),
    }
  } catch (cause) {
    throw unavailable('netmem/linux calls the C library through koffi: npm install koffi@3', cause)
  }
}

function unavailable(what: string, cause?: unknown): LinuxError {
  return new LinuxError('NETMEM_LINUX_UNAVAILABLE', `${what}. All else works without it.`, {
    cause,
  })
}
