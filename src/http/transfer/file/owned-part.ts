/** A part with its note and its owner's socket, which are made, claimed and removed together. */

import type { Stats } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import type net from 'node:net'
import { dirname } from 'node:path'
import {
  FREE,
  newBase,
  notePath,
  ownerIn,
  type PartName,
  partPath,
  socketPath,
} from './part-name.ts'
import { type Note, openOwn, readNote, writeNote } from './part-note.ts'
import { BEAT_MS, isStale, listen, ownerPlace, removeSocket, stateOf, touch } from './part-owner.ts'

/** A part that no other process uses or claims, since its note has the name of an owner of this one. */
export class OwnedPart {
  readonly #name: PartName
  readonly #file: FileHandle
  /** The note that was read or written last. */
  note: Note
  /**
   * False if the owner before was silent for long: its machine may sleep, so the part may only be read.
   */
  readonly isCertain: boolean
  #beats: NodeJS.Timeout | undefined
  /** Resolves when other processes can reach the owner's socket, or it has none. */
  listening: Promise<net.Server | undefined> | undefined

  private constructor(name: PartName, file: FileHandle, note: Note, isCertain: boolean) {
    this.#name = name
    this.#file = file
    this.note = note
    this.isCertain = isCertain
  }

  /** Makes the note of a new part of `target`. The caller makes the part. */
  static async make(target: string): Promise<OwnedPart> {
    const name = { base: newBase(target), owner: ownerIn(await ownerPlace(dirname(target))) }
    // Readable by its user alone.
    const file = await open(notePath(name), 'wx+', 0o600)
    return new OwnedPart(name, file, {}, true)
  }

  /**
   * Claims a part if its owner is gone and `wanted` returns true for its note. The file system renames
   * the note for one of several claimants only.
   */
  static async claim(
    name: PartName,
    wanted: (note: Note) => boolean,
  ): Promise<OwnedPart | undefined> {
    const opened = await openOwn(notePath(name))
    if (opened === undefined) return undefined
    const file = opened.handle
    try {
      const note = await readNote(file)
      const place = await ownerPlace(dirname(name.base))
      const state = await stateOf(name, place)
      if (
        note !== undefined &&
        state !== 'alive' &&
        wanted(note) &&
        (state !== 'unknown' || (await isStale(file)))
      ) {
        // The new owner has no socket yet, and must not seem to be silent.
        await touch(file)
        const owned = { base: name.base, owner: ownerIn(place) }
        await rename(notePath(name), notePath(owned))
        await removeSocket(name)
        return new OwnedPart(owned, file, note, state !== 'unknown')
      }
    } catch {
      // Another process was faster, or the folder is read-only.
    }
    await file.close()
    return undefined
  }

  get path(): string {
    return partPath(this.#name.base)
  }

  /** Shows other processes that this one lives, by its socket or else by beats in the note. */
  show(): void {
    this.#beats = setInterval(() => touch(this.#file).catch(() => {}), BEAT_MS).unref()
    this.listening = listen(socketPath(this.#name))
  }

  /** Notes what is in the part. */
  async write(note: Note): Promise<void> {
    this.note = { ...this.note, ...note }
    await writeNote(this.#file, this.note)
  }

  /** Opens the part, or returns `undefined` if it is not the file in its note. */
  async open(): Promise<{ handle: FileHandle; status: Stats } | undefined> {
    const part = await openOwn(this.path)
    if (part === undefined) return undefined
    const { ino, size } = part.status
    const { inode } = this.note
    // An empty note names no part, and its part is empty.
    if (inode === undefined ? size === 0 : inode === String(ino)) return part
    await part.handle.close()
    return undefined
  }

  /** Leaves the part to the first process that claims it. */
  async free(): Promise<void> {
    await this.#end()
    await rename(notePath(this.#name), notePath({ base: this.#name.base, owner: FREE }))
  }

  /** Removes the part first, so that none stays without a note. */
  async remove(): Promise<void> {
    const part = await this.open()
    await part?.handle.close()
    if (part !== undefined) await rm(this.path, { force: true })
    await this.close()
  }

  /** Removes the socket and the note of a part that has been renamed or removed. */
  async close(): Promise<void> {
    await this.#end()
    await rm(notePath(this.#name), { force: true })
  }

  async #end(): Promise<void> {
    clearInterval(this.#beats)
    const server = await this.listening
    server?.close()
    await removeSocket(this.#name)
    await this.#file.close().catch(() => {})
  }
}
