/** Files that take the place of others, with their permissions. */

import { type FileHandle, rename, stat } from 'node:fs/promises'
import type { ResolvedPath } from './file-path.ts'

/** Opens files. Tests replace it. */
export type OpenFile = (path: string, flags: string | number, mode?: number) => Promise<FileHandle>

/** Mode of a file that is to replace another: only its user may read it. */
export const PRIVATE = 0o600
const PUBLIC = 0o666
/** `chown` leaves the user as it is. */
const KEEP_USER = -1

/** Returns the mode of a new file that is to be renamed to `target`. */
export function successorMode({ mode }: ResolvedPath): number {
  return mode === undefined ? PUBLIC : PRIVATE
}

/** Closes a complete file, and renames it to `target`. */
export async function replaceFile(
  file: FileHandle,
  path: string,
  target: ResolvedPath,
): Promise<void> {
  await takePermissions(file, target)
  await file.close()
  await rename(path, target.path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    const what = 'its part is gone: this process slept so long that another one took it'
    throw Object.assign(new Error(what), { code: 'ESTALE' })
  })
}

/** Gives `file` the permissions of the file that it is to replace, and never more. */
async function takePermissions(file: FileHandle, target: ResolvedPath): Promise<void> {
  const present = await stat(target.path).catch(() => undefined)
  let mode = present?.mode ?? target.mode
  if (mode === undefined) return
  if (present !== undefined && present.gid !== (await file.stat()).gid) {
    try {
      await file.chown(KEEP_USER, present.gid)
    } catch {
      // Another group gets no rights.
      mode &= 0o707
    }
  }
  // Some file systems have no modes.
  await file.chmod(mode & 0o777).catch(() => {})
}
