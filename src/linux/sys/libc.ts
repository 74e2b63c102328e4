/**
 * Functions of the C library, called through koffi. This file alone loads koffi, an optional
 * dependency, and does so synchronously: some threads never return to their event loop. Each thread
 * loads it once. A thread that is terminated while it loads koffi aborts the process: koffi 3.3
 * reports the calls that fail then as fatal errors of Node.js.
 *
 * koffi has no `ssize_t`, so those results are `long`. Pointers are either views, whose memory koffi
 * passes, or addresses as numbers: a user's address has 47 bits, so a number holds it without garbage.
 */

import { createRequire } from 'node:module'
import type Koffi from 'koffi'
import { ERRNO, type Errno, isErrno } from './errno.ts'
import { LinuxError } from './linux-error.ts'

/** Memory that a call reads or writes. */
export type Bytes = Uint8Array | Int32Array | Uint32Array | BigUint64Array

/** Functions of this process's C library. A result of -1 is a failure: then read `errno()`. */
export interface Libc {
  /** Returns the error number of this thread's last call. */
  readonly errno: () => Errno
  /** Returns the address of a view's first byte. */
  readonly address: (view: ArrayBufferView) => bigint
  readonly strerror: (errno: number) => string

  readonly open: (path: string, flags: number, mode: number) => number
  readonly close: (fd: number) => number
  readonly read: (fd: number, bytes: Bytes, length: number) => number
  readonly write: (fd: number, bytes: Bytes, length: number) => number
  readonly readv: (fd: number, iovecs: number, count: number) => number
  readonly writev: (fd: number, iovecs: number, count: number) => number
  readonly fcntl: (fd: number, command: number, argument: number) => number
  readonly dup3: (from: number, to: number, flags: number) => number
  readonly ftruncate: (fd: number, length: number) => number
  readonly ioctl: (fd: number, request: number, argument: number) => number
  readonly eventfd: (initial: number, flags: number) => number
  readonly memfdCreate: (name: string, flags: number) => number
  readonly setns: (fd: number, kind: number) => number

  readonly socket: (family: number, type: number, protocol: number) => number
  readonly socketpair: (family: number, type: number, protocol: number, fds: number) => number
  readonly bind: (fd: number, address: Bytes, length: number) => number
  readonly connect: (fd: number, address: Bytes, length: number) => number
  readonly listen: (fd: number, backlog: number) => number
  readonly accept4: (fd: number, address: null, length: null, flags: number) => number
  readonly getsockname: (fd: number, address: Bytes, length: Uint32Array) => number
  readonly getpeername: (fd: number, address: Bytes, length: Uint32Array) => number
  readonly getsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Bytes,
    length: Uint32Array,
  ) => number
  readonly setsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Bytes,
    length: number,
  ) => number
  readonly shutdown: (fd: number, how: number) => number
  readonly sendmsg: (fd: number, header: number, flags: number) => number
  readonly recvmsg: (fd: number, header: number, flags: number) => number

  readonly epollCreate: (flags: number) => number
  readonly epollCtl: (epoll: number, operation: number, fd: number, event: number) => number
  readonly epollWait: (epoll: number, events: number, count: number, timeoutMs: number) => number
  readonly poll: (entries: number, count: number, timeoutMs: number) => number
  readonly schedYield: () => number
  /** Returns an address. A failure is -1, read as a signed number. */
  readonly mmap: (
    address: number,
    length: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number
  readonly getpagesize: () => number
  readonly madvise: (address: number, length: number, advice: number) => number
  readonly syscall: (
    number: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ) => number
}

let loaded: Libc | undefined

/**
 * Returns this thread's functions of the C library, and loads koffi at the first call.
 *
 * @throws NETMEM_LINUX_UNAVAILABLE where this is not Linux, or koffi is not installed.
 */
export function libc(): Libc {
  loaded ??= load()
  return loaded
}

/**
 * Loads koffi now, for callers that would rather fail here than at their first call.
 *
 * @throws NETMEM_LINUX_UNAVAILABLE where this is not Linux, or koffi is not installed.
 */
export function loadLibc(): void {
  libc()
}

function load(): Libc {
  if (process.platform !== 'linux') {
    throw unavailable(`netmem/linux makes Linux system calls, and this is ${process.platform}`)
  }
  if (process.arch !== 'x64' && process.arch !== 'arm64') {
    throw unavailable(`netmem/linux knows x86-64 and arm64, and this is ${process.arch}`)
  }
  const koffi = requireKoffi()
  const library = koffi.load(null)
  const f = (definition: string): ReturnType<typeof library.func> => library.func(definition)
  return {
    errno: () => {
      const number = koffi.errno()
      return isErrno(number) ? number : ERRNO.EIO
    },
    address: koffi.address,
    strerror: f('const char *strerror(int)'),
    open: f('int open(const char *, int, unsigned int)'),
    close: f('int close(int)'),
    read: f('long read(int, void *, size_t)'),
    write: f('long write(int, const void *, size_t)'),
    readv: f('long readv(int, uint64_t, int)'),
    writev: f('long writev(int, uint64_t, int)'),
    fcntl: f('int fcntl(int, int, long)'),
    dup3: f('int dup3(int, int, int)'),
    ftruncate: f('int ftruncate(int, int64_t)'),
    ioctl: f('int ioctl(int, unsigned long, uint64_t)'),
    eventfd: f('int eventfd(unsigned int, int)'),
    memfdCreate: f('int memfd_create(const char *, unsigned int)'),
    setns: f('int setns(int, int)'),
    socket: f('int socket(int, int, int)'),
    socketpair: f('int socketpair(int, int, int, uint64_t)'),
    bind: f('int bind(int, const void *, unsigned int)'),
    connect: f('int connect(int, const void *, unsigned int)'),
    listen: f('int listen(int, int)'),
    accept4: f('int accept4(int, void *, void *, int)'),
    getsockname: f('int getsockname(int, void *, void *)'),
    getpeername: f('int getpeername(int, void *, void *)'),
    getsockopt: f('int getsockopt(int, int, int, void *, void *)'),
    setsockopt: f('int setsockopt(int, int, int, const void *, unsigned int)'),
    shutdown: f('int shutdown(int, int)'),
    sendmsg: f('long sendmsg(int, uint64_t, int)'),
    recvmsg: f('long recvmsg(int, uint64_t, int)'),
    epollCreate: f('int epoll_create1(int)'),
    epollCtl: f('int epoll_ctl(int, int, int, uint64_t)'),
    epollWait: f('int epoll_wait(int, uint64_t, int, int)'),
    poll: f('int poll(uint64_t, unsigned long, int)'),
    schedYield: f('int sched_yield(void)'),
    mmap: f('int64_t mmap(uint64_t, size_t, int, int, int, int64_t)'),
    getpagesize: f('int getpagesize()'),
    madvise: f('int madvise(uint64_t, size_t, int)'),
    syscall: f('long syscall(long, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t)'),
  }
}

function requireKoffi(): typeof Koffi {
  try {
    // A CommonJS bundle does not know its URL.
    return createRequire(import.meta.url ?? `${process.cwd()}/`)('koffi')
  } catch (cause) {
    const isThere = !(cause instanceof Error && Reflect.get(cause, 'code') === 'MODULE_NOT_FOUND')
    const state = isThere ? 'cannot be loaded (see the cause)' : 'is not installed'
    const what = `netmem/linux calls the C library through koffi, which ${state}`
    throw unavailable(`${what}: npm install koffi@3`, cause)
  }
}

function unavailable(what: string, cause?: unknown): LinuxError {
  return new LinuxError('NETMEM_LINUX_UNAVAILABLE', `${what}. All else works without it.`, {
    cause,
  })
}

/** Addresses of buffers. A buffer keeps its memory for as long as it has any. */
const addresses = new WeakMap<ArrayBufferLike, number>()

/**
 * Returns the address of a view's first byte. It is valid while the caller holds the view and its
 * buffer is not detached. Allocates nothing for a buffer whose address was asked for before.
 */
export function addressOf(view: ArrayBufferView): number {
  let start = addresses.get(view.buffer)
  if (start === undefined) {
    start = Number(libc().address(new Uint8Array(view.buffer)))
    addresses.set(view.buffer, start)
  }
  return start + view.byteOffset
}

/**
 * Memory of a structure that calls are given by address, allocated once. Keep the object for as long
 * as its address is in use.
 */
export class Pinned {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView<ArrayBuffer>
  readonly address: number

  /** @param bytes its size. The memory begins zeroed, at a multiple of 8. */
  constructor(bytes: number) {
    // Engines keep small arrays among their objects, which move, until their buffer is asked for.
    const buffer = new ArrayBuffer(bytes)
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.address = addressOf(this.bytes)
  }

  /** Writes 64 bits, of a number up to 2^53 − 1. */
  setUint64(at: number, value: number): void {
    // BigInts would be garbage, and 3 to 20 times as slow.
    this.view.setUint32(at, value >>> 0, true)
    this.view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
  }

  /** Reads 64 bits, of a number up to 2^53 − 1. */
  getUint64(at: number): number {
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 2 ** 32
  }
}
