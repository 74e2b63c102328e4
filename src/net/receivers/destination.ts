/**
 * The receiver of one `receiveInto`: the next bytes of the stream go to memory of the caller and need no
 * page.
 */

import type { FillOptions } from '../../connection.ts'
import { ConnectionError } from '../../errors.ts'
import { rejectedAtCaller } from '../rejected-at-caller.ts'
import { destinationGone } from './destination-memory.ts'
import type { Receiver, ReceiverDriver, Wants } from './receiver.ts'
import { recordMemory } from './record-memory.ts'

export class Destination implements Receiver {
  readonly #driver: ReceiverDriver
  readonly #view: Uint8Array
  /** Bytes of the view, to tell whether it was detached or shrunk. */
  readonly #length: number
  /** TLS copies to posted memory whenever JavaScript has returned, so it gets memory that cannot move. */
  readonly #inRecords: boolean
  readonly #options: FillOptions
  readonly #resolve: (bytes: number | Promise<never>) => void
  #record: Uint8Array | undefined
  #filled = 0
  /** Failure of `onProgress`, which has been passed to the caller. */
  #threw = false

  constructor(
    driver: ReceiverDriver,
    view: Uint8Array,
    inRecords: boolean,
    options: FillOptions,
    resolve: (bytes: number | Promise<never>) => void,
  ) {
    this.#driver = driver
    this.#view = view
    this.#length = view.byteLength
    this.#inRecords = inRecords
    this.#options = options
    this.#resolve = resolve
  }

  get left(): number {
    return this.#length - this.#filled
  }

  wants(): Wants {
    return this.#inRecords ? 'anything' : 'afterFullRead'
  }

  memory(): Uint8Array | undefined {
    if (!this.#intact) return undefined
    if (!this.#inRecords) {
      return this.#filled === 0 ? this.#view : this.#view.subarray(this.#filled)
    }
    this.#record = recordMemory(this.#view.buffer, this.#view.byteOffset + this.#filled)
    return this.#record
  }

  arrived(bytes: number, buffer: Uint8Array | undefined): number {
    const taken = Math.min(bytes, this.left)
    if (!this.#intact) {
      this.#driver.abandon(this.gone)
      return bytes
    }
    const from = buffer ?? this.#record
    if (from !== undefined) {
      const part = taken === from.byteLength ? from : from.subarray(0, taken)
      this.#view.set(part, this.#filled)
    }
    this.#filled += taken
    try {
      this.#options.onProgress?.(this.#filled)
    } catch (cause) {
      this.#threw = true
      this.#resolve(Promise.reject(cause))
      const message = 'onProgress threw. The connection was destroyed with the transfer incomplete.'
      this.#driver.abandon(new ConnectionError('NETMEM_ABORTED', message, { cause }))
      return bytes
    }
    if (this.#filled === this.#length) this.#resolve(this.#filled)
    return taken
  }

  end(error: Error | undefined): void {
    if (this.#threw) return
    if (error === undefined && this.#options.mayEnd === true && this.#filled === 0) {
      this.#resolve(0)
      return
    }
    const message = `The peer ended the stream after ${this.#filled} of ${this.#length} bytes.`
    this.#resolve(rejectedAtCaller(error ?? new ConnectionError('NETMEM_ENDED_EARLY', message)))
  }

  /** Error of a destination whose memory has moved. */
  get gone(): Error {
    return destinationGone(this.#filled, this.#length)
  }

  /** True while the memory is still there. */
  get #intact(): boolean {
    return this.#view.byteLength === this.#length
  }
}
