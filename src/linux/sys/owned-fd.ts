/// <reference lib="esnext.disposable" preserve="true" />

/** Descriptors, and the objects that own them. */

import { LifetimeError } from '../../errors.ts'
import { applicationStack } from '../../pool/application-stack.ts'
import { publish } from '../../pool/leaks.ts'
import { failure } from './failure.ts'
import { libc } from './libc.ts'

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
  readonly kind: 'fd'
  readonly fd: number
  /** What the descriptor is, such as `socket` or `open /dev/udmabuf`. */
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

/**
 * A descriptor and the duty to close it. Whoever holds the object owns the descriptor: calls take its
 * `fd` and do not keep it. Disposable. A leak tracker reports one that is collected while open.
 */
export class OwnedFd implements Disposable {
  #fd: Fd | undefined
  readonly label: string

  /** @param label what the descriptor is, in messages and leak reports. */
  constructor(fd: Fd, label: string) {
    this.#fd = fd
    this.label = label
    tracker.register(this, { kind: 'fd', fd, label, stack: applicationStack() }, this)
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
   * Closes the descriptor. A second call does nothing.
   *
   * @throws NETMEM_SYSCALL_FAILED, of `close`, if other code closed the descriptor before.
   */
  close(): void {
    if (this.#fd === undefined) return
    // The kernel has taken the number back whatever close(2) returns, but for EBADF.
    if (libc().close(this.release()) === -1) throw failure('close')
  }

  /** Gives up the descriptor without closing it, and returns it. The caller owns it from here. */
  release(): Fd {
    const { fd } = this
    this.#fd = undefined
    tracker.unregister(this)
    return fd
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Takes ownership of the descriptor that a call has just returned, or throws the call's error. */
export function own(result: number, syscall: string, label: string = syscall): OwnedFd {
  if (!isFd(result)) throw failure(syscall)
  return new OwnedFd(result, label)
}
