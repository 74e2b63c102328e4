/**
 * A device in the thread of its caller: stepped, and each call is answered at once. The library
 * itself never loads the device's code into the stack's thread.
 */

import { type DeviceParts, deviceParts } from '../device/device-parts.ts'
import { VirtualDevice } from '../device/virtual-device.ts'
import type { DeviceError } from '../device-error.ts'
import { DeviceThread } from '../host/device/device-thread.ts'
import { closedError, type DeviceTransport } from '../host/device/worker-transport.ts'
import type { CallArguments, CallName, CallReply, NicEvent } from '../rings/control.ts'
import { describeFailure, failureError } from '../rings/device-failure.ts'
import { createDoorbell } from '../rings/doorbell.ts'

/** Makes a stepped device in this thread, of the parts of the real one by default. */
export function createInlineDevice(parts: DeviceParts = deviceParts): DeviceThread {
  return new DeviceThread(new InlineTransport(parts), createDoorbell())
}

class InlineTransport implements DeviceTransport {
  readonly closed: Promise<DeviceError | undefined>
  readonly #host: VirtualDevice
  readonly #listeners = new Map<number, (event: NicEvent) => void>()
  #end: () => void = () => {}

  constructor(parts: DeviceParts) {
    this.#host = new VirtualDevice(parts, true, (event) => this.#listeners.get(event.nic)?.(event))
    this.closed = new Promise((resolve) => {
      this.#end = () => resolve(undefined)
    })
  }

  call<K extends CallName>(name: K, args: CallArguments<K>): Promise<CallReply<K>> {
    if (this.#host.isClosed) return Promise.reject(closedError())
    try {
      return Promise.resolve(this.#host.handle(name, args))
    } catch (error) {
      return Promise.reject(failureError(describeFailure(error)))
    }
  }

  listen(nic: number, listener: ((event: NicEvent) => void) | undefined): void {
    if (listener === undefined) this.#listeners.delete(nic)
    else this.#listeners.set(nic, listener)
  }

  pollDescriptors(): void {}

  hold(): void {}

  release(): void {}

  close(): Promise<void> {
    if (!this.#host.isClosed) this.#host.handle('close', [])
    this.#end()
    return Promise.resolve()
  }
}
