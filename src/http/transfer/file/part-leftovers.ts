/**
 * Parts that earlier transfers to a path have left beside it, and their claim by one transfer. Files
 * without a note of netmem's and of the same user belong to other programs.
 */

import { type FileHandle, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isWholeName, ownerIn, type PartPaths, parseNoteName, partPaths } from './part-name.ts'
import { type Note, openOwn, readNote } from './part-note.ts'
import { isStale, ownerPlace, removeSocket, stateOf } from './part-owner.ts'

/** A part that this process has claimed. No other process uses or claims it. */
export interface ClaimedPart {
  readonly paths: PartPaths
  /** Owner in the note's new name. */
  readonly owner: string
  /** The note's file, for the caller to close. */
  readonly file: FileHandle
  readonly note: Note | 'empty'
  /**
   * True if no process can write to the part any more. False if its owner was silent for long: its
   * machine may sleep, so the part may only be read.
   */
  readonly certain: boolean
}

/** Decides about a part by its note. `wasKept` is true if its transfer gave it away. */
type IsWanted = (note: Note | 'empty', wasKept: boolean) => boolean

/** A file that a transfer has left beside its destination. */
export interface Leftover {
  /**
   * Claims it if its owner is gone and `wanted` returns true. The file system renames the note for one
   * of several claimants only.
   */
  claim(wanted: IsWanted): Promise<ClaimedPart | undefined>
  /** Removes it if its owner is gone and `wanted` returns true. */
  sweep(wanted: IsWanted): Promise<void>
}

/** A part with its note. */
class NotedPart implements Leftover {
  readonly #paths: PartPaths
  readonly #owner: string

  constructor(paths: PartPaths, owner: string) {
    this.#paths = paths
    this.#owner = owner
  }

  async claim(wanted: IsWanted): Promise<ClaimedPart | undefined> {
    const { folder, note: noteOf } = this.#paths
    const opened = await openOwn(noteOf(this.#owner))
    if (opened === undefined) return undefined
    const file = opened.handle
    try {
      const note = await readNote(file)
      const place = await ownerPlace(folder)
      const state = await stateOf(folder, this.#owner, place)
      if (
        note !== undefined &&
        state !== 'alive' &&
        wanted(note, state === 'free') &&
        (state !== 'unknown' || (await isStale(file)))
      ) {
        const owner = ownerIn(place)
        await rename(noteOf(this.#owner), noteOf(owner))
        await removeSocket(folder, this.#owner)
        return { paths: this.#paths, owner, file, note, certain: state !== 'unknown' }
      }
    } catch {
      // Another process was faster, or the folder is read-only.
    }
    await file.close()
    return undefined
  }

  async sweep(wanted: IsWanted): Promise<void> {
    const claimed = await this.claim(wanted)
    if (claimed !== undefined) await removeClaimed(claimed)
  }
}

/** Age from which the process of a whole file must have ended, since it writes in one call. */
const WHOLE_STALE_MS = 60 * 60 * 1000

/** A file that was written in one call and not renamed. */
class WholePart implements Leftover {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async claim(): Promise<undefined> {}

  async sweep(): Promise<void> {
    const own = await openOwn(this.#path)
    await own?.handle.close()
    const isStale = own !== undefined && Date.now() - own.status.mtimeMs > WHOLE_STALE_MS
    if (isStale) await rm(this.#path, { force: true }).catch(() => {})
  }
}

/** The folder that was listed last, and the number of transfers to it that need no list. */
let listed = { folder: '', unlisted: 0 }
/** Names that one transfer lists on average, however many files a folder has. */
const NAMES_A_TRANSFER = 1_000

/** Lists parts of `target`. With `sometimes` some calls in a crowded folder return none. */
export async function leftoversOf(
  target: string,
  when: 'always' | 'sometimes' = 'sometimes',
): Promise<Leftover[]> {
  const folder = dirname(target)
  if (when === 'sometimes' && listed.folder === folder && listed.unlisted-- > 0) return []
  const names = await readdir(folder).catch((): string[] => [])
  listed = { folder, unlisted: Math.floor(names.length / NAMES_A_TRANSFER) }
  const found: Leftover[] = []
  for (const name of names) {
    const parsed = parseNoteName(target, name)
    if (parsed !== undefined) found.push(new NotedPart(partPaths(target, parsed.id), parsed.owner))
    else if (isWholeName(target, name)) found.push(new WholePart(join(folder, name)))
  }
  return found
}

/** Removes a part, its socket and last its note, so that no part stays without a note. */
export async function removeClaimed({ paths, owner, file, note }: ClaimedPart): Promise<void> {
  const part = await openOwn(paths.part)
  if (part !== undefined) {
    const { ino, size } = part.status
    // An empty note names no part, and its part is empty.
    const isNoted = note === 'empty' ? size === 0 : String(ino) === note.inode
    await part.handle.close()
    if (isNoted) await rm(paths.part, { force: true })
  }
  await file.close()
  await removeSocket(paths.folder, owner)
  await rm(paths.note(owner), { force: true })
}
