/** Passes over files, step by step. */

import type { FileHandle } from 'node:fs/promises'

const STEP_BYTES = 1024 * 1024

/** Passes bytes `from` to `to` of a file to `take`, in one buffer. Throws if the file is shorter. */
export async function readThrough(
  file: FileHandle,
  from: number,
  to: number,
  take: (step: Uint8Array) => Promise<void>,
): Promise<void> {
  const step = Buffer.allocUnsafeSlow(STEP_BYTES)
  for (let at = from; at < to; ) {
    const { bytesRead } = await file.read(step, 0, Math.min(step.byteLength, to - at), at)
    if (bytesRead === 0) throw new Error('it has become shorter')
    await take(step.subarray(0, bytesRead))
    at += bytesRead
  }
}
