/**
 * Memory that TLS decrypts a record into on its way to a destination, which JavaScript can move
 * between two records. All connections of a thread share it, since TLS copies a record and reports
 * it before anything else runs.
 *
 * On some processors a copy between addresses that differ modulo 128 takes three times as long, and
 * JavaScript cannot read an address. The memory of an engine begins 16 bytes into a memory page, or
 * at its start (WebAssembly, resizable buffers). So the first records into a buffer are timed both
 * ways.
 */

import { alignedBuffer, COPY_ALIGNMENT } from '../../providers/aligned-memory.ts'

/** Bytes of the longest record (RFC 8446, 5.1). */
const RECORD_BYTES = 16 * 1024
/**
 * Offsets in a memory page at which the buffer of a destination may begin: the commoner one first.
 */
const STARTS = [16, 0] as const
/** Number of records that are timed. */
const TIMED = 8

let shared: Uint8Array | undefined
/** Choice for each buffer, since small transfers into it have too few records to time anew. */
const ofBuffers = new WeakMap<ArrayBufferLike, RecordMemory>()

/** Returns the memory for records on their way to `buffer`. */
export function recordMemory(buffer: ArrayBufferLike): RecordMemory {
  let memory = ofBuffers.get(buffer)
  if (memory === undefined) {
    memory = new RecordMemory()
    ofBuffers.set(buffer, memory)
  }
  return memory
}

export class RecordMemory {
  #view: Uint8Array | undefined
  #skew = -1
  #start: number = STARTS[0]
  #records = 0
  readonly #fastestMs: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]

  /**
   * Returns memory for the next record of a destination that continues at `byteOffset` of its
   * buffer.
   */
  post(byteOffset: number): Uint8Array {
    const skew = (byteOffset + this.#start) % COPY_ALIGNMENT
    if (this.#view === undefined || skew !== this.#skew) {
      shared ??= new Uint8Array(alignedBuffer(RECORD_BYTES + COPY_ALIGNMENT))
      this.#view = shared.subarray(skew, skew + RECORD_BYTES)
      this.#skew = skew
    }
    return this.#view
  }

  /** Copies `from` to offset `at` of `to`. */
  copy(from: Uint8Array, to: Uint8Array, at: number): void {
    if (this.#records >= TIMED || from.byteLength < RECORD_BYTES) {
      to.set(from, at)
      return
    }
    const way = this.#records % 2 === 0 ? 0 : 1
    const begun = performance.now()
    to.set(from, at)
    this.#fastestMs[way] = Math.min(this.#fastestMs[way], performance.now() - begun)
    this.#records++
    const [first, second] = this.#fastestMs
    if (this.#records < TIMED) this.#start = STARTS[way === 0 ? 1 : 0]
    else this.#start = first <= second ? STARTS[0] : STARTS[1]
  }
}
