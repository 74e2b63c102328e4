/**
 * The part: a file beside the destination that a body is written to until it is complete. Only the
 * transfer that made a part writes to it. A later transfer continues a part in place if no process can
 * write to it any more, and copies it where that is not certain.
 */

import { type FileHandle, open } from 'node:fs/promises'
import type { ResolvedPath } from './file-path.ts'
import { OwnedPart } from './owned-part.ts'
import { leftoversOf, sweep } from './part-leftovers.ts'
import type { Resumable } from './part-note.ts'
import { readThrough } from './read-through.ts'
import { type OpenFile, PRIVATE, replaceFile, successorMode } from './replace-file.ts'

/** A part of an earlier transfer. */
export interface FoundPart {
  readonly part: PartFile
  readonly resumable: Resumable
  /** Bytes in the part. */
  readonly bytes: number
}

export class PartFile {
  readonly handle: FileHandle
  readonly #target: ResolvedPath
  /** `undefined` for a device or a pipe. */
  readonly #owned: OwnedPart | undefined

  private constructor(handle: FileHandle, target: ResolvedPath, owned?: OwnedPart) {
    this.handle = handle
    this.#target = target
    this.#owned = owned
  }

  /** True for a file. False for a device or a pipe, which can only be written in order. */
  get regular(): boolean {
    return this.#owned !== undefined
  }

  /**
   * Makes a part of `target`, and removes useless parts of transfers that were killed. With `resumable`
   * the part never has holes, so a later transfer can continue it even after a kill.
   */
  static async create(
    target: ResolvedPath,
    resumable?: Resumable,
    openFile: OpenFile = open,
  ): Promise<PartFile> {
    if (!target.regular) return new PartFile(await openFile(target.path, 'w'), target)
    const others = await leftoversOf(target.path)
    await sweep(others, ({ resumable }) => resumable === undefined)
    const owned = await OwnedPart.make(target.path)
    owned.show()
    let handle: FileHandle | undefined
    try {
      handle = await openFile(owned.path, 'wx+', successorMode(target))
      await owned.write({ inode: String((await handle.stat()).ino), resumable })
    } catch (error) {
      await handle?.close()
      await owned.remove()
      throw error
    }
    return new PartFile(handle, target, owned)
  }

  /** Claims a part of an earlier transfer of `url`, or `undefined` if there is none of use. */
  static async claim(target: ResolvedPath, url: string): Promise<FoundPart | undefined> {
    if (!target.regular) return undefined
    const others = await leftoversOf(target.path, 'always')
    for (const name of others) {
      const owned = await OwnedPart.claim(name, ({ resumable }) => resumable?.url === url)
      if (owned === undefined) continue
      const found = await PartFile.#goOnWith(target, owned).catch(() => undefined)
      if (found === undefined || !owned.isCertain) await owned.remove()
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Continues a claimed part, or `undefined` if it is not what its note says. */
  static async #goOnWith(target: ResolvedPath, owned: OwnedPart): Promise<FoundPart | undefined> {
    const { resumable } = owned.note
    const opened = await owned.open()
    if (opened === undefined || resumable === undefined) return undefined
    const { handle, status } = opened
    if (!owned.isCertain) return PartFile.#copy(handle, status.size, target, resumable)
    if (target.mode !== undefined) await handle.chmod(PRIVATE).catch(() => {})
    owned.show()
    // Wait: the bytes in the part are worth a socket from the start.
    await owned.listening
    return { part: new PartFile(handle, target, owned), resumable, bytes: status.size }
  }

  /** Copies the first `bytes` bytes of a part to a new one, and closes it. */
  static async #copy(
    from: FileHandle,
    bytes: number,
    target: ResolvedPath,
    resumable: Resumable,
  ): Promise<FoundPart | undefined> {
    await using source = from
    const part = await PartFile.create(target, resumable)
    try {
      await readThrough(source, 0, bytes, (step) => part.handle.writeFile(step))
      return { part, resumable, bytes }
    } catch (error) {
      await part.discard()
      throw error
    }
  }

  /** Resolves when the owner's socket listens, which it otherwise does a moment later. */
  async listening(): Promise<void> {
    await this.#owned?.listening
  }

  /** Renames the complete part to its destination. */
  async finish(modifiedMs?: number): Promise<void> {
    if (this.#owned === undefined) return this.handle.close()
    if (modifiedMs !== undefined) await this.handle.utimes(new Date(), new Date(modifiedMs))
    const [others] = await Promise.all([
      leftoversOf(this.#target.path),
      replaceFile(this.handle, this.#owned.path, this.#target),
    ])
    await this.#owned.close()
    await sweep(others)
  }

  /** Removes the part. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => {})
    await this.#owned?.remove()
  }

  /** Leaves the first `bytes` bytes to a later transfer, which can continue them with `resumable`. */
  async keep(bytes: number, resumable: Resumable | undefined): Promise<void> {
    const owned = this.#owned
    if (owned === undefined || resumable === undefined || bytes === 0) return this.discard()
    await this.handle.truncate(bytes)
    await this.handle.close()
    // The cut part has no holes.
    await owned.write({ resumable })
    await owned.free()
  }
}
