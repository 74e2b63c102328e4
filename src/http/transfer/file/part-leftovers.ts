/**
 * Files that earlier transfers to a path have left beside it. Files without a note of netmem's and of
 * the same user belong to other programs.
 */

import { readdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OwnedPart } from './owned-part.ts'
import { type PartName, parsePartName, WHOLE, wholePath } from './part-name.ts'
import { type Note, openOwn } from './part-note.ts'

/** Age from which the process of a whole file must have ended, since it writes in one call. */
const WHOLE_STALE_MS = 60 * 60 * 1000

/** The folder that was listed last, and the number of transfers to it that need no list. */
let listed = { folder: '', unlisted: 0 }
/** Names that one transfer lists on average, however many files a folder has. */
const NAMES_A_TRANSFER = 1_000

/** Lists leftovers of `target`. With `sometimes` some calls in a crowded folder return none. */
export async function leftoversOf(
  target: string,
  when: 'always' | 'sometimes' = 'sometimes',
): Promise<PartName[]> {
  const folder = dirname(target)
  if (when === 'sometimes' && listed.folder === folder && listed.unlisted-- > 0) return []
  const names = await readdir(folder).catch((): string[] => [])
  listed = { folder, unlisted: Math.floor(names.length / NAMES_A_TRANSFER) }
  return names.flatMap((name) => parsePartName(target, name) ?? [])
}

/** Removes leftovers whose owners are gone, of parts only those with `useless` notes. */
export async function sweep(
  leftovers: readonly PartName[],
  useless: (note: Note) => boolean = () => true,
): Promise<void> {
  for (const name of leftovers) {
    if (name.owner === WHOLE) await sweepWhole(wholePath(name.base))
    else await (await OwnedPart.claim(name, useless))?.remove()
  }
}

async function sweepWhole(path: string): Promise<void> {
  const own = await openOwn(path)
  await own?.handle.close()
  const isStale = own !== undefined && Date.now() - own.status.mtimeMs > WHOLE_STALE_MS
  if (isStale) await rm(path, { force: true }).catch(() => {})
}
