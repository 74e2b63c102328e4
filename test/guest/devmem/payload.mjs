// Bytes that both ends know.
import { createHash } from 'node:crypto'

export const MIB = 2 ** 20

/** 4 MiB without a period that a page or a frame has. */
export const payload = Buffer.alloc(4 * MIB)
const words = new Uint32Array(payload.buffer, payload.byteOffset, payload.length / 4)
// A step that is coprime to 2^32 visits every number once.
for (let at = 0, word = 1; at < words.length; at++) {
  words[at] = word
  word = (word + 0x9e3779b1) >>> 0
}

export function shortHash(hash) {
  return hash.digest('hex').slice(0, 16)
}

export function hashOf(bytes) {
  return shortHash(createHash('sha256').update(bytes))
}

/** Receives all frags of a connection out of `memory`, the mapping of its dma-buf, and returns their hash. */
export async function hashReceived(connection, memory) {
  const hash = createHash('sha256')
  for await (const frag of connection) {
    hash.update(memory.subarray(frag.offset, frag.offset + frag.length))
    frag.release()
  }
  return shortHash(hash)
}
