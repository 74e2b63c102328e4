/// <reference lib="esnext.disposable" preserve="true" />

/** Serves a device from this thread's event loop. */

import { type OptionNames, ownOptions } from '../errors.ts'
import { type Watch, watch } from '../linux/sys/index.ts'
import { DeviceServer } from './device-server.ts'
import type { PciDevice } from './pci-device.ts'
import { VfioUserError } from './vfio-user-error.ts'

/** Options of {@link serveDevice}. */
export interface ServeDeviceOptions {
  /** Permissions of the socket. 0o600 by default: this user's machines alone. */
  readonly mode?: number
  /** Called when a machine connects. */
  readonly onConnect?: () => void
  /**
   * Called when a machine is gone: with the reason if it could not have the device. Called once with
   * NETMEM_VFIO_USER_ACCEPT when a machine has to wait, because this process has no descriptor for it.
   */
  readonly onDisconnect?: (reason: VfioUserError | undefined) => void
}

const NAMES: OptionNames<ServeDeviceOptions> = { mode: true, onConnect: true, onDisconnect: true }

/** A device that machines can connect to. */
export interface ServedDevice extends AsyncDisposable {
  /** Place of the socket. */
  readonly path: string
  /** True while a machine has the device. */
  readonly connected: boolean
  /** Disconnects the machine, and removes the socket. */
  close(): Promise<void>
  /** Resolves after `close()`. Rejects with an error that the device threw, which ends the service. */
  readonly closed: Promise<void>
}

/**
 * Serves a PCI device to QEMU 10.1 or newer, which connects to a Unix socket when it starts:
 * `-device '{"driver":"vfio-user-pci","socket":{"path":"…","type":"unix"}}'`. The guest's memory must be
 * shared: `-object memory-backend-memfd,id=mem,size=2G,share=on -machine memory-backend=mem`. One machine
 * after the other has the device. The server keeps this process running.
 *
 * @param path place of the socket, at most 107 bytes. It is removed in the end.
 * @param device device whose calls come from this thread.
 * @throws NETMEM_OUT_OF_RANGE for a device with invalid numbers, NETMEM_SYSCALL_FAILED if the system
 *   refuses the socket, NETMEM_INVALID_ARGUMENT or NETMEM_LINUX_UNAVAILABLE, as a rejection.
 *
 * @example
 * ```ts
 * import { serveDevice } from 'netmem/vfio-user'
 *
 * const served = await serveDevice('/tmp/example-device.sock', {
 *   identity: { vendorId: 0x1b36, deviceId: 0x00ff, classCode: 0xff0000 },
 *   bars: [{ index: 0, bytes: 4096 }],
 *   msix: { bar: 1, vectors: 1 },
 *   attach: () => undefined,
 *   detach: () => undefined,
 *   read: () => 42,
 *   write: () => undefined,
 *   reset: () => undefined,
 * })
 * console.log(served.connected)
 * await served.close()
 * ```
 */
export async function serveDevice(
  path: string,
  device: PciDevice,
  options: ServeDeviceOptions = {},
): Promise<ServedDevice> {
  const { mode = 0o600, ...events } = ownOptions('serveDevice()', options, NAMES)
  return new EventLoopServer(new DeviceServer(device, { path, mode }), events)
}

class EventLoopServer implements ServedDevice {
  readonly closed: Promise<void>
  readonly #server: DeviceServer
  readonly #events: ServeDeviceOptions
  #endPause = (): void => undefined

  constructor(server: DeviceServer, events: ServeDeviceOptions) {
    this.#server = server
    this.#events = events
    this.closed = this.#serve()
  }

  get path(): string {
    return this.#server.path
  }

  get connected(): boolean {
    return this.#server.connected
  }

  close(): Promise<void> {
    const { connected } = this
    this.#server.close()
    this.#endPause()
    if (connected) this.#events.onDisconnect?.(undefined)
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #serve(): Promise<void> {
    // Opens the thread's first watch now: it takes descriptors, and the process may have none left when a
    // machine comes.
    using _first = watch(this.#server.fd, 0)
    let watching: Watch | undefined
    let watched = 0
    try {
      while (this.#server.open) {
        const { fd, events, retryMs } = this.#server
        if (retryMs > 0) {
          await this.#pause(retryMs)
          continue
        }
        if (watching === undefined || watching.fd !== fd || watched !== events) {
          watching?.close()
          watched = events
          watching = watch(fd, events)
        }
        // A descriptor that closes ends its watch, and the next may have its number.
        if ((await watching.ready()) === 0) watching = undefined
        else this.#step()
      }
    } finally {
      watching?.close()
      this.#server.close()
    }
  }

  /** Resolves after `ms`, or when the server closes. */
  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #step(): void {
    const { connected } = this
    let reason: VfioUserError | undefined
    try {
      this.#server.step()
    } catch (error) {
      if (!(error instanceof VfioUserError)) throw error
      reason = error
    }
    if (reason !== undefined && !connected) this.#events.onDisconnect?.(reason)
    // A server that its device has closed has reported it.
    if (connected === this.connected || !this.#server.open) return
    if (connected) this.#events.onDisconnect?.(reason)
    else this.#events.onConnect?.()
  }
}
