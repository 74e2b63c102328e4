/**
 * Memory that TLS decrypts a record into on its way to a destination, which JavaScript can move
 * between two records. All connections of a thread share it, since TLS copies a record and reports
 * it before anything else runs.
 *
 * Processors copy faster between addresses that are equal modulo 128. With Node 20 to 26 on AMD EPYC,
 * 16 KiB were copied into plain memory at 14 GB/s instead of 9. Into memory that an engine maps it was
 * 15 instead of 12. JavaScript cannot read an address, but the kind of a buffer tells where it begins.
 */

import { alignedBuffer, COPY_ALIGNMENT, isMapped } from '../../providers/aligned-memory.ts'

/** Bytes of the longest record (RFC 8446, 5.1). */
const RECORD_BYTES = 16 * 1024
/** Bytes from the start of a memory page to that of a buffer from malloc. Mapped memory begins at one. */
const MALLOC_OFFSET = 16

let memory: Uint8Array | undefined
/** The part of {@link memory} that was given last. */
let record: Uint8Array | undefined

/** Returns memory for the next record of a destination that continues at `byteOffset` of `buffer`. */
export function recordMemory(buffer: ArrayBufferLike, byteOffset: number): Uint8Array {
  const start = isMapped(buffer) ? byteOffset : byteOffset + MALLOC_OFFSET
  const skew = start % COPY_ALIGNMENT
  if (record?.byteOffset !== skew) {
    memory ??= new Uint8Array(alignedBuffer(RECORD_BYTES + COPY_ALIGNMENT))
    record = memory.subarray(skew, skew + RECORD_BYTES)
  }
  return record
}
