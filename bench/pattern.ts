/**
 * Data that senders send and receivers expect. Every connection sends the same bytes over and over, but
 * each begins at another place, so that bytes of another connection are wrong bytes too.
 */

// Types of the build, since the compiler must not rewrite the names of another project's files.
import type { randomBytes as Bytes } from '../dist/testing/random-bytes.test.helper.js'

// internals.ts would load all its parts in each child, whose memory is measured.
const { randomBytes }: { readonly randomBytes: typeof Bytes } = await import(
  new URL('../../dist/testing/random-bytes.test.helper.js', import.meta.url).href
)

/** Prime, so that it fits no page: a byte in the wrong place is a wrong byte. */
const PERIOD = 65_521
const PHASE_STEP = 61
const SEED = 1

/** The period, repeated to about a megabyte. */
export const pattern: Buffer = Buffer.alloc(16 * PERIOD, randomBytes(PERIOD, SEED))

/** Position in the pattern of byte `at` of a connection. */
export function phase(connection: number, at: number): number {
  return (connection * PHASE_STEP + at) % PERIOD
}

/** Throws unless `bytes` are those of that connection from byte `at` on. */
export function verify(connection: number, at: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const from = phase(connection, at + done)
    const length = Math.min(bytes.length - done, pattern.length - from)
    if (pattern.compare(bytes, done, done + length, from, from + length) !== 0) {
      throw new Error(`wrong bytes between ${at + done} and ${at + done + length}`)
    }
    done += length
  }
}
