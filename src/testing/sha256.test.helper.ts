/** SHA-256 of what a test has sent and received. Not published. */

import { createHash } from 'node:crypto'

/** Returns the SHA-256 of all parts in a row, in hexadecimal. */
export function sha256(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
