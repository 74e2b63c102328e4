/** Cache of the guest: packages of Debian and what is made of them, outside of the checkout. */

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** Folder `netmem/guest` in XDG_CACHE_HOME, which is ~/.cache by default. It can be deleted at any time. */
export function cacheFolder(): string {
  const given = process.env['XDG_CACHE_HOME'] ?? ''
  const folder = join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'netmem/guest')
  mkdirSync(folder, { recursive: true })
  return folder
}

/**
 * Returns the folder `name` of the cache. Where there is none, `make` fills a draft, which takes the
 * folder's place when it is complete. Processes may do so at the same time.
 */
export async function cached(
  name: string,
  make: (draft: string) => Promise<void>,
): Promise<string> {
  const place = join(cacheFolder(), name)
  if (existsSync(place)) return place
  const draft = mkdtempSync(join(cacheFolder(), 'draft-'))
  try {
    await make(draft)
    try {
      renameSync(draft, place)
    } catch (error) {
      // Another process has been faster.
      if (!existsSync(place)) throw error
    }
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return place
}
