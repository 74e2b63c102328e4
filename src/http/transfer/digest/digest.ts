/**
 * SHA-256 of a body while it arrives. Hashing is slower than the network (0.2 to 2 GB/s a core), so a
 * thread hashes large bodies. It reads shared memory in place. Other bytes are copied to a small shared
 * ring while they are in the cache.
 */

import { createHash, type Hash } from 'node:crypto'
import { HttpError } from '../../http-error.ts'
import type { Settings } from '../settings.ts'
import { HashThread, type StreamDigest } from './hash-thread.ts'

/** Bytes to hash at a time, while they are in the cache. */
const STEP_BYTES = 256 * 1024
/** Smallest body for a thread, which takes about 40 ms to start. */
const THREAD_BYTES = 16 * 1024 * 1024

/**
 * Returns the digest of a stream.
 * @param length `undefined` if it is not known.
 * @param shared Memory of bytes that stay in place.
 */
export function streamDigest(length: number | undefined, shared?: SharedArrayBuffer): StreamDigest {
  const isLarge = length === undefined || length >= THREAD_BYTES
  return (isLarge ? HashThread.take()?.begin(shared) : undefined) ?? new InlineDigest()
}

/** Digest of memory that fills from its start. */
export class MemoryDigest {
  readonly #view: Uint8Array
  readonly #stream: StreamDigest
  #hashed = 0
  #arrived = 0
  #hashing: Promise<void> | undefined

  constructor(view: Uint8Array, length: number | undefined) {
    const { buffer } = view
    this.#view = view
    this.#stream = streamDigest(length, buffer instanceof SharedArrayBuffer ? buffer : undefined)
  }

  /** Notes that all bytes before `to` have arrived. */
  advance(to: number): void {
    this.#arrived = to
    if (to - this.#hashed < STEP_BYTES) return
    this.#hashing ??= this.#hash().finally(() => {
      this.#hashing = undefined
    })
  }

  /** Resolves with the digest of the first `length` bytes, in hexadecimal. */
  async hex(length: number): Promise<string> {
    this.#arrived = length
    await this.#hashing
    await this.#hash()
    return this.#stream.hex()
  }

  drop(): void {
    this.#stream.drop()
  }

  /** Hashes the bytes that have arrived. */
  async #hash(): Promise<void> {
    // The target reports a view that was detached.
    while (this.#hashed < this.#arrived && this.#view.byteLength > 0) {
      const to = Math.min(this.#arrived, this.#hashed + STEP_BYTES)
      const bytes = this.#view.subarray(this.#hashed, to)
      this.#hashed = to
      await this.#stream.update(bytes)
    }
  }
}

class InlineDigest implements StreamDigest {
  readonly #hash: Hash = createHash('sha256')

  async update(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
  }

  async hex(): Promise<string> {
    return this.#hash.digest('hex')
  }

  drop(): void {}
}

/** Throws NETMEM_DIGEST_MISMATCH unless the digest is the one that was expected. */
export function checkDigest({ expectedSha256 }: Settings, sha256: string | undefined): void {
  if (expectedSha256 === undefined || expectedSha256 === sha256) return
  throw new HttpError(
    'NETMEM_DIGEST_MISMATCH',
    `The body's SHA-256 is ${sha256}, not ${expectedSha256}: it is damaged, or another body. Do not use any of it.`,
  )
}
