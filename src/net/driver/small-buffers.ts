/**
 * Small buffers, which connections have posted while they hold no page. Each has 16 KiB, is cut
 * from aligned memory of 1 MiB, and is used again when its connection is closed.
 */

import { RX_COPYBREAK } from '../../pool/copies.ts'
import { alignedBuffer } from '../../providers/aligned-memory.ts'

const BUFFERS_AT_ONCE = 64

const free: Uint8Array[] = []

/** Takes a buffer of RX_COPYBREAK bytes with any contents. */
export function takeSmallBuffer(): Uint8Array {
  const buffer = free.pop()
  if (buffer !== undefined) return buffer
  const memory = alignedBuffer(BUFFERS_AT_ONCE * RX_COPYBREAK)
  for (let at = 0; at < BUFFERS_AT_ONCE; at++) {
    free.push(new Uint8Array(memory, at * RX_COPYBREAK, RX_COPYBREAK))
  }
  return takeSmallBuffer()
}

/** Gives back a buffer to which no socket can write any more. */
export function putSmallBuffer(buffer: Uint8Array): void {
  free.push(buffer)
}
