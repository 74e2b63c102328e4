/// <reference lib="esnext.disposable" preserve="true" />

/** Descriptors, and the objects that own them. */

import { closeSync, openSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { LifetimeError } from '../../errors.ts'
import { applicationStack } from '../../pool/application-stack.ts'
import { publish } from '../../pool/leaks.ts'
import { F_DUPFD_CLOEXEC, O_CLOEXEC } from './constants.ts'
import { ERRNO } from './errno.ts'
import { checked, failure, failureOf } from './failure.ts'
import { libc, type Pinned } from './libc.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_FD_CLOSED: 'LifetimeError'
  }
}
declare const fd: unique symbol

/** A file descriptor of this process. A call that takes one does not own it. */
export type Fd = number & { readonly [fd]: true }

/** True of a number that can be a descriptor. */
export function isFd(value: number): value is Fd {
  return Number.isInteger(value) && value >= 0 && value <= 0x7fffffff
}

/**
 * Report on the channel `netmem:leak`: an {@link OwnedFd} was collected without `close()`. The
 * descriptor stays open, since its number may be in use elsewhere.
 */
export interface FdLeakReport {
  /** Kind of the report. Those of memory have others. */
  readonly kind: 'fd'
  /** Number of the descriptor. */
  readonly fd: number
  /** Name of what the descriptor is, such as `event counter` or `/dev/udmabuf`. */
  readonly label: string
  /** The application's frames that opened it, or undefined if none was on the stack. */
  readonly stack: string | undefined
}

const tracker = new FinalizationRegistry<FdLeakReport>((report) => {
  const origin = report.stack === undefined ? '' : ` Opened at\n${report.stack}`
  publish(
    'netmem:leak',
    report,
    `Descriptor ${report.fd} (${report.label}) was dropped without close() and stays open.${origin}`,
  )
})

/** Calls to make before a descriptor is closed, by descriptor: a watch must not outlive it. */
const closing = new Map<Fd, () => void>()

/** Has `action` called before an {@link OwnedFd} closes or gives up `fd`. Undefined takes that back. */
export function beforeClose(fd: Fd, action: (() => void) | undefined): void {
  if (action === undefined) closing.delete(fd)
  else closing.set(fd, action)
}

/**
 * A descriptor and the duty to close it. The holder of the object owns the descriptor: calls take its
 * `fd` and do not keep it. Disposable. A leak tracker reports one that is collected while open.
 */
export class OwnedFd implements Disposable {
  readonly label: string
  #fd: Fd | undefined
  /** True if Node.js closes the descriptor when this worker ends. */
  readonly #adopted: boolean

  /**
   * @param label what the descriptor is, in messages and leak reports.
   * @param slot in a worker, what {@link openSlot} returned. The descriptor takes its number.
   */
  constructor(fd: Fd, label: string, slot: Fd | undefined = openSlot()) {
    this.#adopted = slot !== undefined
    this.#fd = slot === undefined ? fd : move(fd, slot)
    this.label = label
    tracker.register(this, { kind: 'fd', fd: this.#fd, label, stack: applicationStack() }, this)
  }

  /**
   * The descriptor.
   *
   * @throws NETMEM_FD_CLOSED after `close()` or `release()`.
   */
  get fd(): Fd {
    if (this.#fd === undefined) {
      throw new LifetimeError(
        'NETMEM_FD_CLOSED',
        `The descriptor (${this.label}) is closed: open another.`,
      )
    }
    return this.#fd
  }

  /** True until `close()` or `release()`. */
  get open(): boolean {
    return this.#fd !== undefined
  }

  /**
   * Closes the descriptor, after the watches on it. A second call does nothing.
   *
   * @throws NETMEM_SYSCALL_FAILED, of `close`, if other code closed the descriptor before.
   */
  close(): void {
    if (this.#fd !== undefined) this.#close(this.#fd)
  }

  /**
   * Gives up the descriptor without closing it, and returns it. The caller owns it from here. In a
   * worker it is another number than before.
   *
   * @throws NETMEM_FD_CLOSED after `close()` or `release()`.
   */
  release(): Fd {
    const { fd } = this
    if (!this.#adopted) {
      this.#forget(fd)
      return fd
    }
    const copy = checked(libc().fcntl(fd, F_DUPFD_CLOEXEC, 0), 'fcntl')
    this.#close(fd)
    if (!isFd(copy)) throw failure('fcntl')
    return copy
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #close(fd: Fd): void {
    this.#forget(fd)
    // The kernel takes the number back for every result of close(2) but EBADF.
    if (this.#adopted) closeSlot(fd)
    else if (libc().close(fd) === -1) throw failure('close')
  }

  #forget(fd: Fd): void {
    closing.get(fd)?.()
    this.#fd = undefined
    tracker.unregister(this)
  }
}

/**
 * Opens a descriptor that Node.js closes when this worker ends, even by `terminate()`, which runs no code
 * of the worker. Node.js does so for descriptors of `openSync()` (`trackUnmanagedFds`, an option of
 * workers that is on by default). So other descriptors are moved over such a descriptor. Returns
 * undefined in the main thread, and if none can be opened.
 */
function openSlot(): Fd | undefined {
  if (isMainThread) return undefined
  try {
    const slot = openSync('/dev/null', 'r')
    return isFd(slot) ? slot : undefined
  } catch {
    return undefined
  }
}

/** Moves a descriptor over another, whose number it takes. */
function move(fd: Fd, slot: Fd): Fd {
  if (fd === slot) return fd
  checked(libc().dup3(fd, slot, O_CLOEXEC), 'dup3')
  libc().close(fd)
  return slot
}

function closeSlot(fd: Fd): void {
  try {
    closeSync(fd)
  } catch {
    throw failureOf(ERRNO.EBADF, 'close')
  }
}

/**
 * Makes a call that returns a descriptor, and takes ownership of it. Throws the error of the call.
 *
 * @param call only makes the call. A worker is terminated when it enters a function or repeats a loop:
 *   there is neither between the call and the line that moves the descriptor to its slot.
 */
export function own(syscall: string, label: string, call: () => number): OwnedFd {
  const opened = ownOrWait(syscall, label, call)
  if (opened === undefined) throw failureOf(ERRNO.EAGAIN, syscall, label)
  return opened
}

/** Owns a descriptor as {@link own} does. Returns undefined if the call would have to wait. */
export function ownOrWait(syscall: string, label: string, call: () => number): OwnedFd | undefined {
  const { dup3, close, errno } = libc()
  const slot = openSlot()
  let result = call()
  while (result === -1 && errno() === ERRNO.EINTR) result = call()
  if (result !== -1 && slot !== undefined && dup3(result, slot, O_CLOEXEC) !== -1) {
    close(result)
    result = slot
  }
  if (isFd(result)) return new OwnedFd(result, label, slot)
  const number = errno()
  if (slot !== undefined) closeSlot(slot)
  if (number === ERRNO.EAGAIN) return undefined
  throw failureOf(number, syscall, label)
}

/** Owns descriptors as {@link own} does, of a call that writes two of them to `fds`. */
export function ownPair(syscall: string, fds: Pinned, call: () => number): [OwnedFd, OwnedFd] {
  const { dup3, close, errno } = libc()
  const first = openSlot()
  const second = openSlot()
  const moves = first !== undefined && second !== undefined
  const bytes = new Int32Array(fds.bytes.buffer)
  const result = call()
  let one = bytes[0] ?? -1
  let other = bytes[1] ?? -1
  if (result !== -1 && moves) {
    dup3(one, first, O_CLOEXEC)
    dup3(other, second, O_CLOEXEC)
    close(one)
    close(other)
    one = first
    other = second
  }
  const number = result === -1 ? errno() : ERRNO.EBADF
  if (result === -1 || !moves) {
    if (first !== undefined) closeSlot(first)
    if (second !== undefined) closeSlot(second)
  }
  if (result === -1 || !isFd(one) || !isFd(other)) throw failureOf(number, syscall)
  if (moves) return [new OwnedFd(one, syscall, first), new OwnedFd(other, syscall, second)]
  return [new OwnedFd(one, syscall), new OwnedFd(other, syscall)]
}
