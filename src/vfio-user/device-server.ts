/// <reference lib="esnext.disposable" preserve="true" />

/** A device behind a Unix socket, for a thread that waits by poll(2). In an event loop: `serveDevice()`. */

import { chmodSync, rmSync } from 'node:fs'
import { checkInteger, LifetimeError } from '../errors.ts'
import {
  accept4,
  boundUnixSocket,
  type Fd,
  LinuxError,
  listen,
  type OwnedFd,
  POLLIN,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from '../linux/sys/index.ts'
import { ConfigSpace } from './config-space.ts'
import type { PciDevice } from './pci-device.ts'
import { VfioUserSession } from './session.ts'
import { VfioUserError } from './vfio-user-error.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_VFIO_USER_CLOSED: 'LifetimeError'
  }
}

/** Errors of accept(2) for want of descriptors or memory: a later attempt may succeed. */
const RUN_OUT: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])
/** Ms between two attempts. The listener is readable all that time, so its events are not waited for. */
const RETRY_MS = 1000

/** Options of a {@link DeviceServer}. */
export interface DeviceServerOptions {
  /** Place of the socket, at most 107 bytes. It is removed in the end. */
  readonly path: string
  /** Permissions of the socket. 0o600 by default: this user's machines alone. */
  readonly mode?: number
}

/**
 * Serves a device to one machine after the other. It never waits. Its thread waits until `fd` has one
 * of `events`, and then calls `step()`, which may change both.
 */
export class DeviceServer implements Disposable {
  /** Place of the socket. */
  readonly path: string
  readonly #device: PciDevice
  readonly #listener: OwnedFd
  #session: VfioUserSession | undefined
  /** Time of performance.now() before which no machine is taken. */
  #retryAtMs = 0
  /** True if the last attempt to take a machine failed, and the caller knows. */
  #isRunOut = false

  /**
   * Listens.
   *
   * @throws NETMEM_OUT_OF_RANGE for a device with invalid numbers, NETMEM_SYSCALL_FAILED if the system
   *   refuses the socket, NETMEM_LINUX_UNAVAILABLE without Linux or koffi.
   */
  constructor(device: PciDevice, { path, mode = 0o600 }: DeviceServerOptions) {
    checkInteger('mode', mode, 0, 0o777)
    // Checks the device now, and not when a machine connects.
    new ConfigSpace(device)
    this.path = path
    this.#device = device
    this.#listener = boundUnixSocket(path, SOCK_STREAM)
    try {
      // No machine can connect before listen(), so the permissions hold from the first moment.
      chmodSync(path, mode)
      listen(this.#listener.fd, 1)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /**
   * Descriptor to wait for. Another machine waits while one is connected.
   *
   * @throws NETMEM_VFIO_USER_CLOSED after `close()`.
   */
  get fd(): Fd {
    if (!this.#listener.open) {
      throw new LifetimeError('NETMEM_VFIO_USER_CLOSED', 'The server is closed: make another.')
    }
    return this.#session?.fd ?? this.#listener.fd
  }

  /** Events (POLL*) to call `step()` for. 0 while {@link retryMs} is more than 0. */
  get events(): number {
    return this.#session?.events ?? (this.retryMs > 0 ? 0 : POLLIN)
  }

  /**
   * Milliseconds until the next attempt to take a machine that could not be taken. Look at `events` again
   * then. 0 if no machine waits.
   */
  get retryMs(): number {
    return this.#isRunOut ? Math.max(this.#retryAtMs - performance.now(), 0) : 0
  }

  /** True until `close()`. */
  get open(): boolean {
    return this.#listener.open
  }

  /** True while a machine has the device. */
  get connected(): boolean {
    return this.#session !== undefined
  }

  /**
   * Takes a machine that connects, or answers the requests of the one that has the device.
   *
   * @returns how many requests were answered.
   * @throws NETMEM_VFIO_USER_* if the machine cannot have the device, and what the device throws. The
   *   machine is disconnected then, and the server waits for the next. NETMEM_VFIO_USER_ACCEPT if this
   *   process cannot take the machine now: it waits, and is taken later. Thrown once until then.
   */
  step(): number {
    if (!this.#listener.open) return 0
    if (this.#session === undefined) {
      this.#accept()
      return 0
    }
    const session = this.#session
    try {
      return session.step()
    } finally {
      if (!session.open && this.#session === session) this.#session = undefined
    }
  }

  #accept(): void {
    let socket: OwnedFd | undefined
    try {
      socket = accept4(this.#listener.fd, SOCK_NONBLOCK)
    } catch (error) {
      if (!(error instanceof LinuxError)) throw error
      if (!RUN_OUT.has(error.errno ?? '')) throw error
      const isKnown = this.#isRunOut
      this.#isRunOut = true
      this.#retryAtMs = performance.now() + RETRY_MS
      if (isKnown) return
      throw new VfioUserError(
        'NETMEM_VFIO_USER_ACCEPT',
        `A machine waits for its device, and is taken once there is room. ${error.message}`,
        { cause: error },
      )
    }
    if (socket === undefined) return
    this.#isRunOut = false
    this.#session = new VfioUserSession(socket, this.#device)
  }

  /** Disconnects the machine, and removes the socket. A second call does nothing. */
  close(): void {
    if (!this.#listener.open) return
    rmSync(this.path, { force: true })
    this.#listener.close()
    const session = this.#session
    this.#session = undefined
    session?.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
