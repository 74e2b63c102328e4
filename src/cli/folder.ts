/** Folders on the way to a file. */

import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes the folders that `path` lacks. Never rejects: opening the file fails with the reason. */
export async function makeFolderOf(path: string): Promise<void> {
  await makeFolder(path.endsWith('/') ? path : dirname(path)).catch(() => {})
}

/**
 * Makes a folder and its parents. Node's own recursive `mkdir` never ends in a folder that takes no
 * folders, such as /proc: it takes ENOENT for a missing parent.
 */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    const above = dirname(folder)
    const lacksAbove = error instanceof Error && Reflect.get(error, 'code') === 'ENOENT'
    if (!lacksAbove || above === folder) return
    await makeFolder(above)
    await mkdir(folder)
  }
}

/** True if `path` leads to a folder. */
export function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  )
}
