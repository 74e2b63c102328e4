/** The folders of a path that is to be written. */

import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes the folders that `path` lacks. What is wrong with a folder that is none, opening the file says. */
export async function makeFolderOf(path: string): Promise<void> {
  const folder = path.endsWith('/') ? path : dirname(path)
  await mkdir(folder, { recursive: true }).catch(() => {})
}
