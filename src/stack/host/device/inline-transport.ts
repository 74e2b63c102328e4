/** A device beside the stack, in the same thread: each request is handled at once. For tests. */

import { DeviceHost } from '../../device/device-host.ts'
import type { DeviceParts } from '../../device/nic-host.ts'
import { DeviceError } from '../../device-error.ts'
import type { ControlKind, ControlReply, ControlRequest, NicEvent } from '../../rings/control.ts'
import { describeFailure, failureError } from '../../rings/device-failure.ts'
import type { DeviceTransport } from './device-transport.ts'

export class InlineTransport implements DeviceTransport {
  readonly ended: Promise<DeviceError | undefined>
  readonly #host: DeviceHost
  readonly #listeners = new Map<number, (event: NicEvent) => void>()
  #end: () => void = () => {}

  constructor(parts: DeviceParts) {
    this.#host = new DeviceHost(parts, true, (event) => this.#listeners.get(event.nic)?.(event))
    this.ended = new Promise((resolve) => {
      this.#end = () => resolve(undefined)
    })
  }

  call<K extends ControlKind>(request: ControlRequest<K>): Promise<ControlReply<K>> {
    if (this.#host.closed) return Promise.reject(closedError())
    try {
      return Promise.resolve(this.#host.handle(request))
    } catch (error) {
      return Promise.reject(failureError(describeFailure(error)))
    }
  }

  listen(nic: number, listener: ((event: NicEvent) => void) | undefined): void {
    if (listener === undefined) this.#listeners.delete(nic)
    else this.#listeners.set(nic, listener)
  }

  hold(): void {}

  release(): void {}

  close(): Promise<void> {
    if (!this.#host.closed) this.#host.handle({ kind: 'close' })
    this.#end()
    return Promise.resolve()
  }
}

/** What every call after `close()` rejects with. */
export function closedError(): DeviceError {
  return new DeviceError(
    'NETMEM_DEVICE_CLOSED',
    'ENODEV',
    'The device thread is closed. Open another one.',
  )
}
