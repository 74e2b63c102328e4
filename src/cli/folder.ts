/** Folders on the way to a file. */

import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes the folders that `path` lacks. Never rejects: opening the file tells what is wrong with them. */
export async function makeFolderOf(path: string): Promise<void> {
  const folder = path.endsWith('/') ? path : dirname(path)
  await mkdir(folder, { recursive: true }).catch(() => {})
}

/** True if `path` leads to a folder. */
export function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  )
}
