/// <reference lib="esnext.disposable" preserve="true" />
/** Objects of a device, in the stack's thread: their numbers, and their ends. */

import type { CallName } from '../../rings/control.ts'
import type { DeviceTransport } from './worker-transport.ts'

/** Calls that end an object of the device, which they take the number of. */
type ClosingCall = Extract<CallName, 'memory-free' | 'dmabuf-close' | 'hash-close' | 'nic-close'>

/** Base of what a device makes: memory, dma-bufs, hashes and NICs. */
export abstract class DeviceObject implements AsyncDisposable {
  /** Number of the object on its device. */
  readonly id: number
  /** @internal */
  readonly transport: DeviceTransport
  /** @internal True once there is nothing to close. */
  isClosed = false
  readonly #closing: ClosingCall

  /** @internal */
  constructor(transport: DeviceTransport, id: number, closing: ClosingCall) {
    this.transport = transport
    this.id = id
    this.#closing = closing
  }

  /**
   * Closes the object on its device. An object in use stays open.
   *
   * @throws NETMEM_DMABUF_BUSY while the dma-buf, or a dma-buf of the memory, is attached.
   */
  async close(): Promise<void> {
    await this.transport.call(this.#closing, [this.id])
    this.isClosed = true
  }

  /** Closes the object unless it is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isClosed) await this.close()
  }
}
