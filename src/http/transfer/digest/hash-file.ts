/** Digests of files. */

import type { FileHandle } from 'node:fs/promises'
import { STEP_BYTES } from './digest.ts'
import type { StreamDigest } from './hash-thread.ts'

/** Passes the first `bytes` bytes of a file to `digest`. Throws if the file is shorter. */
export async function hashFile(
  file: FileHandle,
  bytes: number,
  digest: StreamDigest,
): Promise<void> {
  const step = Buffer.allocUnsafeSlow(4 * STEP_BYTES)
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await file.read(step, 0, Math.min(step.byteLength, bytes - at), at)
    if (bytesRead === 0) throw new Error('it has become shorter')
    await digest.update(step.subarray(0, bytesRead))
    at += bytesRead
  }
}
