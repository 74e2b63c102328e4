/** One `receiveInto` under way: memory that the next bytes of the stream go to, whatever the pool has. */

import { ConnectionError } from '../../errors.ts'
import { RecordMemory } from './record-memory.ts'

const NOTHING = new Uint8Array(0)

export class Transfer {
  readonly view: Uint8Array
  /** Bytes of `view`, to tell whether it was detached or shrunk. */
  readonly length: number
  filled = 0
  #records: RecordMemory | undefined
  readonly onProgress: ((bytes: number) => void) | undefined
  readonly resolve: (bytes: number) => void
  readonly reject: (error: unknown) => void
  /** Whether the stream may end before the first byte. */
  readonly #mayEnd: boolean

  constructor(
    view: Uint8Array,
    mayEnd: boolean,
    onProgress: ((bytes: number) => void) | undefined,
    resolve: (bytes: number) => void,
    reject: (error: unknown) => void,
  ) {
    this.view = view
    this.length = view.byteLength
    this.onProgress = onProgress
    this.resolve = resolve
    this.reject = reject
    this.#mayEnd = mayEnd
  }

  /** Whether its memory is still there. */
  get intact(): boolean {
    return this.view.byteLength === this.length
  }

  /** Bytes that are still to come. */
  get left(): number {
    return this.length - this.filled
  }

  /** What is still to be filled; nothing of memory that is gone. */
  get rest(): Uint8Array {
    if (!this.intact) return NOTHING
    return this.filled === 0 ? this.view : this.view.subarray(this.filled)
  }

  /** Memory for the next TLS record. */
  record(): Uint8Array {
    this.#records ??= new RecordMemory()
    return this.#records.post(this.view.byteOffset + this.filled)
  }

  /** Copies what belongs to it of the first `bytes` bytes of `from`; returns how many that were. */
  copy(from: Uint8Array, bytes: number): number {
    if (!this.intact) return 0
    const taken = Math.min(bytes, this.left)
    const part = taken === from.byteLength ? from : from.subarray(0, taken)
    if (this.#records === undefined) this.view.set(part, this.filled)
    else this.#records.copy(part, this.view, this.filled)
    return taken
  }

  /** The stream has ended, or failed. */
  end(error: Error | undefined): void {
    if (error === undefined && this.#mayEnd && this.filled === 0) {
      this.resolve(0)
      return
    }
    this.reject(
      error ??
        new ConnectionError(
          'NETMEM_ENDED_EARLY',
          `The peer ended the stream after ${this.filled} of ${this.length} bytes.`,
        ),
    )
  }
}
