/**
 * SHA-256 of a body while it arrives. Hashing is slower than the network (0.2 to 2 GB/s a core), so a
 * thread hashes large bodies. It reads shared memory in place. Other bytes are copied to a small shared
 * ring while they are in the cache.
 */

import { createHash, type Hash } from 'node:crypto'
import { HttpError } from '../../http-error.ts'
import type { Settings } from '../settings.ts'
import { HashThread, type SharedDigest, type StreamDigest } from './hash-thread.ts'

/** Bytes to hash at a time, while they are in the cache. */
export const STEP_BYTES: number = 256 * 1024
/** Smallest body for a thread, which takes about 40 ms to start. */
const THREAD_BYTES = 16 * 1024 * 1024

/** Returns the digest of a stream. `length` is `undefined` if it is not known. */
export function streamDigest(length: number | undefined): StreamDigest {
  return ofThread(length)?.stream() ?? new InlineDigest()
}

/** Digest of memory that fills from its start. */
export class MemoryDigest {
  readonly #view: Uint8Array
  readonly #stream: StreamDigest | undefined
  readonly #shared: SharedDigest | undefined
  #hashed = 0
  #arrived = 0
  #pumping: Promise<void> | undefined

  constructor(view: Uint8Array, length: number | undefined) {
    this.#view = view
    const thread = ofThread(length)
    const { buffer } = view
    if (thread !== undefined && buffer instanceof SharedArrayBuffer) {
      this.#shared = thread.shared(buffer)
    } else {
      this.#stream = thread?.stream() ?? new InlineDigest()
    }
  }

  /** Notes that all bytes before `to` have arrived. */
  advance(to: number): void {
    this.#arrived = to
    if (to - this.#hashed < STEP_BYTES) return
    if (this.#shared !== undefined) this.#hashShared(to)
    else this.#pump(STEP_BYTES)
  }

  /** Resolves with the digest of the first `length` bytes, in hexadecimal. */
  async hex(length: number): Promise<string> {
    this.#arrived = length
    if (this.#shared !== undefined) {
      this.#hashShared(length)
      return this.#shared.hex()
    }
    // First the whole steps in progress, then the rest.
    while (this.#pumping !== undefined) await this.#pumping
    this.#pump(1)
    while (this.#pumping !== undefined) await this.#pumping
    return this.#stream?.hex() ?? ''
  }

  drop(): void {
    this.#shared?.drop()
    this.#stream?.drop()
  }

  #hashShared(to: number): void {
    const { byteOffset } = this.#view
    this.#shared?.hash(byteOffset + this.#hashed, byteOffset + to)
    this.#hashed = to
  }

  /** Passes arrived bytes on while there are at least `least`. */
  #pump(least: number): void {
    while (this.#pumping === undefined && this.#arrived - this.#hashed >= least) {
      const to = Math.min(this.#arrived, this.#hashed + STEP_BYTES)
      const bytes = this.#view.subarray(this.#hashed, to)
      // The target reports a view that was detached.
      if (bytes.byteLength === 0) return
      this.#hashed = to
      const goOn = (): void => {
        this.#pumping = undefined
        this.#pump(least)
      }
      // A thread that has ended rejects the request for the digest.
      this.#pumping = this.#stream?.update(bytes)?.then(goOn, goOn)
    }
  }
}

class InlineDigest implements StreamDigest {
  readonly #hash: Hash = createHash('sha256')

  update(bytes: Uint8Array): undefined {
    this.#hash.update(bytes)
  }

  async hex(): Promise<string> {
    return this.#hash.digest('hex')
  }

  drop(): void {}
}

function ofThread(length: number | undefined): HashThread | undefined {
  return length !== undefined && length < THREAD_BYTES ? undefined : HashThread.take()
}

/** Throws NETMEM_DIGEST_MISMATCH unless the digest is the one that was expected. */
export function checkDigest({ expectedSha256 }: Settings, sha256: string | undefined): void {
  if (expectedSha256 === undefined || expectedSha256 === sha256) return
  throw new HttpError(
    'NETMEM_DIGEST_MISMATCH',
    `The body's SHA-256 is ${sha256}, not ${expectedSha256}: it is damaged, or another body. Do not use any of it.`,
  )
}
