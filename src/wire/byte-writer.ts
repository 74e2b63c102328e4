/** Puts together headers from fields, in network byte order, each checked for its range. Not for hot paths. */

import { checkInteger } from '../errors.ts'

export class ByteWriter {
  readonly #bytes: number[] = []

  /** Bytes written. */
  get length(): number {
    return this.#bytes.length
  }

  /** A field of 1, 2 or 4 bytes; throws NETMEM_OUT_OF_RANGE, naming it, if `value` does not fit. */
  field(name: string, bytes: 1 | 2 | 4, value: number): void {
    checkInteger(name, value, 0, 2 ** (8 * bytes) - 1)
    for (let shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
      this.#bytes.push((value >>> shift) & 0xff)
    }
  }

  raw(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#bytes.push(byte)
  }

  take(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }
}
