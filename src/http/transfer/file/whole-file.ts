/**
 * Small files, written in one call when they are complete. They need neither the note nor the socket of
 * a part, since there is nothing to resume.
 */

import { open, rename, rm } from 'node:fs/promises'
import type { ResolvedPath } from './file-path.ts'
import { type OpenFile, partMode, takenAway, takePermissions } from './part-file.ts'
import { leftoversOf } from './part-leftovers.ts'
import { wholePath } from './part-name.ts'
import { writeAll } from './write-behind.ts'

/** Replaces `target` by a file of `bytes`, and removes parts that earlier transfers have left. */
export async function writeWhole(
  target: ResolvedPath,
  bytes: Uint8Array,
  openFile: OpenFile = open,
): Promise<void> {
  const [leftovers] = await Promise.all([leftoversOf(target.path), write(target, bytes, openFile)])
  for (const leftover of leftovers) await leftover.sweep(() => true)
}

async function write(target: ResolvedPath, bytes: Uint8Array, openFile: OpenFile): Promise<void> {
  const path = wholePath(target.path)
  const file = await openFile(path, 'wx+', partMode(target))
  try {
    await writeAll(file, [bytes], 0)
    await takePermissions(file, target)
    await file.close()
    await rename(path, target.path).catch(takenAway)
  } catch (error) {
    await file.close().catch(() => {})
    await rm(path, { force: true }).catch(() => {})
    throw error
  }
}
