/**
 * Small files, written in one call when they are complete. They need neither the note nor the socket of
 * a part, since there is nothing to resume.
 */

import { open, rm } from 'node:fs/promises'
import type { ResolvedPath } from './file-path.ts'
import { leftoversOf, sweep } from './part-leftovers.ts'
import { newBase, wholePath } from './part-name.ts'
import { type OpenFile, replaceFile, successorMode } from './replace-file.ts'
import { writeAll } from './write-behind.ts'

/** Replaces `target` by a file of `bytes`, and removes parts that earlier transfers have left. */
export async function writeWhole(
  target: ResolvedPath,
  bytes: Uint8Array,
  openFile: OpenFile = open,
): Promise<void> {
  const [leftovers] = await Promise.all([leftoversOf(target.path), write(target, bytes, openFile)])
  await sweep(leftovers)
}

async function write(target: ResolvedPath, bytes: Uint8Array, openFile: OpenFile): Promise<void> {
  const path = wholePath(newBase(target.path))
  const file = await openFile(path, 'wx+', successorMode(target))
  try {
    await writeAll(file, [bytes], 0)
    await replaceFile(file, path, target)
  } catch (error) {
    await file.close().catch(() => {})
    await rm(path, { force: true }).catch(() => {})
    throw error
  }
}
