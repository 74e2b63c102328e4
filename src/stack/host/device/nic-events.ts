/** Events of a NIC in the stack's thread: the frames that it sends, and its end. */

import { deferred, Waiters } from '../../../pool/waiters.ts'
import type { DeviceError } from '../../device-error.ts'
import type { ReadFile } from '../../link/link-spec.ts'
import type { NicEvent } from '../../rings/control.ts'
import { deviceError } from '../../rings/device-failure.ts'
import type { DeviceTransport } from './worker-transport.ts'

export class NicEvents {
  readonly #end = deferred<DeviceError | undefined>()
  /** Resolves when no frame will arrive any more, with the reason after a failure. */
  readonly ended: Promise<DeviceError | undefined> = this.#end.promise
  /** One word: transmitted frames that were taken from here. */
  readonly taken: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4))
  /** Result of reading the link's file, known at the end. */
  file: ReadFile = { truncated: false, otherLinkPackets: 0 }
  readonly #transport: DeviceTransport
  #arrived: Uint8Array[] = []
  readonly #waiters = new Waiters()
  #over = false
  #failure: DeviceError | undefined

  constructor(transport: DeviceTransport) {
    this.#transport = transport
  }

  hear(event: NicEvent): void {
    if (event.kind === 'transmitted') {
      for (const frame of event.frames) this.#arrived.push(frame)
      this.#waiters.wake()
    } else if (event.failure !== undefined) {
      this.finish(deviceError(event.failure))
    } else {
      if (event.file !== undefined) this.file = event.file
      // The NIC may still send.
      this.#end.resolve(undefined)
    }
  }

  /** Ends the events: no further one will come. */
  finish(failure: DeviceError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#failure = failure
    this.#end.resolve(failure)
    this.#waiters.wake()
  }

  async *transmitted(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const frame = this.#arrived.shift()
      if (frame !== undefined) {
        Atomics.add(this.taken, 0, 1)
        yield frame
      } else if (this.#failure !== undefined) {
        throw this.#failure
      } else if (this.#over) {
        return
      } else {
        await this.#more()
      }
    }
  }

  takeTransmitted(): Uint8Array[] {
    const frames = this.#arrived
    this.#arrived = []
    Atomics.add(this.taken, 0, frames.length)
    return frames
  }

  /** Waits for an event, and keeps the process alive until it comes. */
  async #more(): Promise<void> {
    this.#transport.hold()
    try {
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    } finally {
      this.#transport.release()
    }
  }
}
