/**
 * The part: a file beside the destination that a body is written to until it is complete. Only the
 * transfer that made a part writes to it. A later transfer continues a part in place if no process can
 * write to it any more, and copies it where that is not certain.
 */

import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import type { ResolvedPath } from './file-path.ts'
import { type ClaimedPart, type Leftover, leftoversOf, removeClaimed } from './part-leftovers.ts'
import { FREE, ownerIn, type PartPaths, partPaths } from './part-name.ts'
import { openOwn, type Resumable, writeNote } from './part-note.ts'
import { ownerPlace, PartOwner } from './part-owner.ts'

/** Opens files. Tests replace it. */
export type OpenFile = (path: string, flags: string | number, mode?: number) => Promise<FileHandle>

/** A part of an earlier transfer. */
export interface FoundPart {
  readonly part: PartFile
  readonly resumable: Resumable
  /** Bytes in the part. */
  readonly bytes: number
}

/** The part and its note, while the part is written. */
interface PartFiles {
  readonly paths: PartPaths
  readonly owner: PartOwner
  readonly note: FileHandle
  readonly inode: string
  readonly resumable: Resumable | undefined
}

const COPY_BYTES = 4 * 1024 * 1024
/** Mode of a part that is to replace a file: only its user may read it. */
const PRIVATE = 0o600
const PUBLIC = 0o666

export class PartFile {
  readonly handle: FileHandle
  readonly #target: ResolvedPath
  /** `undefined` for a device or a pipe. */
  readonly #files: PartFiles | undefined
  /** Parts of earlier transfers that may be of use if this one fails. */
  readonly #others: readonly Leftover[]

  private constructor(
    handle: FileHandle,
    target: ResolvedPath,
    beside: PartFiles | undefined,
    others: readonly Leftover[],
  ) {
    this.handle = handle
    this.#target = target
    this.#files = beside
    this.#others = others
  }

  /** True for a file. False for a device or a pipe, which can only be written in order. */
  get regular(): boolean {
    return this.#files !== undefined
  }

  /**
   * Makes a part of `target`, and removes useless parts of transfers that were killed. With `resumable`
   * a later transfer can continue it.
   */
  static async create(
    target: ResolvedPath,
    resumable?: Resumable,
    openFile: OpenFile = open,
  ): Promise<PartFile> {
    if (!target.regular) {
      return new PartFile(await openFile(target.path, 'w'), target, undefined, [])
    }
    const paths = partPaths(target.path)
    const [others, place] = await Promise.all([leftoversOf(target.path), ownerPlace(paths.folder)])
    await Promise.all(
      others.map((other) =>
        other.sweep(
          (note, wasKept) => !(wasKept || (note !== 'empty' && note.resumable?.sequential)),
        ),
      ),
    )
    const name = ownerIn(place)
    const note = await open(paths.note(name), 'wx+', PRIVATE)
    let handle: FileHandle | undefined
    let inode: string
    try {
      handle = await openFile(paths.part, 'wx+', partMode(target))
      inode = String((await handle.stat()).ino)
      await writeNote(note, { inode, resumable })
    } catch (error) {
      await handle?.close()
      await note.close()
      if (handle !== undefined) await rm(paths.part, { force: true })
      await rm(paths.note(name), { force: true })
      throw error
    }
    const owner = new PartOwner(paths.folder, name, note)
    return new PartFile(handle, target, { paths, owner, note, inode, resumable }, others)
  }

  /** Claims a part of an earlier transfer of `url`, or `undefined` if there is none of use. */
  static async claim(target: ResolvedPath, url: string): Promise<FoundPart | undefined> {
    if (!target.regular) return undefined
    const others = await leftoversOf(target.path, 'always')
    for (const other of others) {
      const claimed = await other.claim((note, wasKept) => {
        const resumable = note === 'empty' ? undefined : note.resumable
        return resumable?.url === url && (wasKept || resumable.sequential)
      })
      if (claimed === undefined) continue
      const found = await PartFile.#goOnWith(target, claimed, others)
      if (found !== undefined) return found
      await removeClaimed(claimed)
    }
    return undefined
  }

  /** Continues a claimed part, or `undefined` if it is not what its note says. */
  static async #goOnWith(
    target: ResolvedPath,
    claimed: ClaimedPart,
    others: readonly Leftover[],
  ): Promise<FoundPart | undefined> {
    const { paths, file, note, certain } = claimed
    if (note === 'empty' || note.resumable === undefined) return undefined
    const { resumable, inode } = note
    const opened = await openOwn(paths.part)
    if (opened === undefined) return undefined
    const { handle, status } = opened
    if (String(status.ino) !== inode || status.size === 0) {
      await handle.close()
      return undefined
    }
    if (certain) {
      if (target.mode !== undefined) await handle.chmod(PRIVATE).catch(() => {})
      const owner = new PartOwner(paths.folder, claimed.owner, file)
      // Wait: the bytes in the part are worth a socket from the start.
      await owner.listening()
      const part = new PartFile(
        handle,
        target,
        { paths, owner, note: file, inode, resumable },
        others,
      )
      return { part, resumable, bytes: status.size }
    }
    const part = await PartFile.create(target, resumable)
    try {
      const bytes = await copy(handle, part.handle)
      await removeClaimed(claimed)
      return { part, resumable, bytes }
    } catch (error) {
      await part.discard()
      throw error
    } finally {
      await handle.close()
    }
  }

  /** Resolves when the owner's socket listens, which it otherwise does a moment later. */
  async listening(): Promise<void> {
    await this.#files?.owner.listening()
  }

  /** Renames the complete part to its destination. */
  async finish(modifiedMs?: number): Promise<void> {
    const beside = this.#files
    if (beside === undefined) return this.handle.close()
    if (modifiedMs !== undefined) await this.handle.utimes(new Date(), new Date(modifiedMs))
    await takePermissions(this.handle, this.#target)
    await this.handle.close()
    await rename(beside.paths.part, this.#target.path).catch(takenAway)
    await this.#forget(beside)
    for (const other of this.#others) await other.sweep(() => true)
  }

  /** Removes the part. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => {})
    const beside = this.#files
    if (beside === undefined) return
    await rm(beside.paths.part, { force: true })
    await this.#forget(beside)
  }

  /** Leaves the first `bytes` bytes to a later transfer. */
  async keep(bytes: number): Promise<void> {
    const beside = this.#files
    if (beside?.resumable === undefined || bytes === 0) return this.discard()
    await this.handle.truncate(bytes)
    await this.handle.close()
    // The cut part has no holes.
    const resumable = { ...beside.resumable, sequential: true }
    await writeNote(beside.note, { ...beside, resumable })
    await beside.owner.stop()
    // From here on any process may claim the part.
    await rename(beside.paths.note(beside.owner.name), beside.paths.note(FREE))
  }

  async #forget({ paths, owner }: PartFiles): Promise<void> {
    await owner.stop()
    await rm(paths.note(owner.name), { force: true })
  }
}

/** Returns the mode of a new part: private if it is to replace a file. */
export function partMode({ mode }: ResolvedPath): number {
  return mode === undefined ? PUBLIC : PRIVATE
}

/** Gives `file` the permissions of the file that it is to replace, and never more. */
export async function takePermissions(file: FileHandle, target: ResolvedPath): Promise<void> {
  const present = await stat(target.path).catch(() => undefined)
  let mode = present?.mode ?? target.mode
  if (mode === undefined) return
  const { uid, gid } = await file.stat()
  if (present !== undefined && present.gid !== gid) {
    const isSet = file.chown(uid, present.gid).then(
      () => true,
      () => false,
    )
    // Another group gets no rights.
    if (!(await isSet)) mode &= 0o707
  }
  // Some file systems have no modes.
  await file.chmod(mode & 0o777).catch(() => {})
}

/** Copies a file. Returns its length. */
async function copy(from: FileHandle, to: FileHandle): Promise<number> {
  const step = Buffer.allocUnsafeSlow(COPY_BYTES)
  for (let at = 0; ; ) {
    const { bytesRead } = await from.read(step, 0, step.byteLength, at)
    if (bytesRead === 0) return at
    for (let done = 0; done < bytesRead; ) {
      done += (await to.write(step, done, bytesRead - done, at + done)).bytesWritten
    }
    at += bytesRead
  }
}

/** Throws the error of a part that cannot be renamed. */
export function takenAway(error: NodeJS.ErrnoException): never {
  if (error.code !== 'ENOENT') throw error
  const what = 'its part is gone: this process slept so long that another one took it'
  throw Object.assign(new Error(what), { code: 'ESTALE' })
}
