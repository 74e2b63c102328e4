/**
 * The file that a body is written to before it is complete, beside the one it will be. Each
 * transfer has one of its own, so that two of them never write to the same. One that is kept for
 * later has a name that any process may claim, by renaming it, and a note of what it is part of.
 */

import {
  type FileHandle,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { threadId } from 'node:worker_threads'
import type { Entity } from './entity.ts'
import { HttpError } from './http-error.ts'

/** What is noted of a file that is kept. */
interface Note {
  /** Of the file it belongs to. */
  readonly inode: number
  readonly url: string
  readonly etag: string | null
  readonly lastModified: string | null
  readonly validator: string
  readonly length: number | null
}

/** Opens files; another one only in tests. */
export type OpenFile = (path: string, flags: string) => Promise<FileHandle>

/** What an earlier transfer has left. */
export interface Found {
  readonly part: PartFile
  readonly entity: Entity
  /** Bytes in it. */
  readonly bytes: number
}

let parts = 0

export class PartFile {
  readonly handle: FileHandle
  /** Where it is now; the destination itself where that is no regular file. */
  readonly #path: string
  readonly #target: string
  #noted = false

  private constructor(handle: FileHandle, path: string, target: string) {
    this.handle = handle
    this.#path = path
    this.#target = target
  }

  /** Whether it is a file that can be written at any place, and anew. */
  get regular(): boolean {
    return this.#path !== this.#target
  }

  /** A new one for `target`, which is a path as {@link resolveTarget} gives it. */
  static async create(target: Destination, openFile: OpenFile = open): Promise<PartFile> {
    const path = target.regular ? ownPath(target.path) : target.path
    const handle = await openFile(path, target.regular ? 'wx+' : 'w')
    // Some file systems have no modes.
    if (target.mode !== undefined) await handle.chmod(target.mode).catch(() => {})
    return new PartFile(handle, path, target.path)
  }

  /** What an earlier transfer of `url` has left; `undefined` where there is nothing of use. */
  static async claim({ path, regular }: Destination, url: string): Promise<Found | undefined> {
    if (!regular) return undefined
    for (const left of await leftovers(path)) {
      const own = ownPath(path)
      if (!(await succeeds(rename(left, own)))) continue
      const note = await readNote(`${left}.json`)
      await rm(`${left}.json`, { force: true })
      const found = note === undefined ? undefined : await open(own, 'r+')
      const status = await found?.stat()
      if (
        found !== undefined &&
        status !== undefined &&
        note !== undefined &&
        note.url === url &&
        note.inode === status.ino &&
        status.size > 0
      ) {
        const part = new PartFile(found, own, path)
        return { part, entity: entityOf(note), bytes: status.size }
      }
      await found?.close()
      await rm(own, { force: true })
    }
    return undefined
  }

  /** Notes what it is part of, so that it can be gone on with even if this process ends at once. */
  async note(url: string, entity: Entity): Promise<void> {
    const { validator, etag = null, lastModified = null, length = null } = entity
    if (validator === undefined || !this.regular) return
    const { ino: inode } = await this.handle.stat()
    const note: Note = { inode, url, etag, lastModified, validator, length }
    await writeFile(`${this.#path}.json`, JSON.stringify(note))
    this.#noted = true
  }

  /** It is complete: it takes the place of the destination. */
  async finish(): Promise<void> {
    await this.handle.close()
    if (this.regular) await rename(this.#path, this.#target)
    if (this.#noted) await rm(`${this.#path}.json`, { force: true })
  }

  /** It is of no more use. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => {})
    if (!this.regular) return
    await rm(this.#path, { force: true })
    await rm(`${this.#path}.json`, { force: true })
  }

  /** Leaves its first `bytes` bytes to whoever goes on. */
  async keep(bytes: number): Promise<void> {
    if (!this.#noted || bytes === 0) {
      await this.discard()
      return
    }
    await this.handle.truncate(bytes)
    await this.handle.close()
    const kept = `${this.#target}.part`
    await rename(this.#path, kept)
    await rename(`${this.#path}.json`, `${kept}.json`)
  }
}

/** A path as the file system sees it. */
export interface Destination {
  readonly path: string
  /** Whether it is a file, or nothing yet: a device or a pipe is written to as it is. */
  readonly regular: boolean
  /** Who may do what with the file that is there, which holds for the one that takes its place. */
  readonly mode?: number
}

/** As many as the kernel follows. */
const MAX_LINKS = 40

/** Follows links, so that the file they lead to is replaced, or made, and not they. */
export async function resolveTarget(path: string, links: number = MAX_LINKS): Promise<Destination> {
  const status = await stat(path).catch(() => undefined)
  if (status === undefined) {
    const led = links === 0 ? undefined : await readlink(path).catch(() => undefined)
    if (led === undefined) return { path, regular: true }
    return resolveTarget(resolve(dirname(path), led), links - 1)
  }
  // What /dev/stdout leads to may have no path.
  if (!status.isFile()) return { path, regular: false }
  return { path: await realpath(path), regular: true, mode: status.mode & 0o777 }
}

/** What to do about it, by the file system's code. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'Make room there, or choose another place',
  EDQUOT: 'Make room there, or choose another place',
  ENOENT: 'Make the folder first',
  ENOTDIR: 'Choose a path whose folders are folders',
  EISDIR: 'Name a file in that folder',
  ENAMETOOLONG: 'Choose a name that leaves room for that of the part, some 30 characters more',
}

/** What goes wrong with the file, with a remedy. */
export function fileError(path: string, cause: unknown): HttpError {
  const message = cause instanceof Error ? cause.message : String(cause)
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  const remedy = (typeof code === 'string' && REMEDIES[code]) || 'Choose another place'
  return new HttpError('NETMEM_HTTP_FILE', `Cannot write ${path}: ${message}. ${remedy}.`, {
    cause,
  })
}

function ownPath(target: string): string {
  return `${target}.${process.pid}-${threadId}-${++parts}.part`
}

/** Files that may be claimed: one that was kept, and those of processes that are gone. */
async function leftovers(target: string): Promise<string[]> {
  const name = basename(target)
  const found: string[] = []
  for (const entry of await readdir(dirname(target)).catch((): string[] => [])) {
    if (!entry.startsWith(`${name}.`) || !entry.endsWith('.part')) continue
    const owner = /^\.(\d+)-\d+-\d+\.part$/.exec(entry.slice(name.length))?.[1]
    if (entry === `${name}.part`) found.unshift(join(dirname(target), entry))
    else if (owner !== undefined && isGone(Number(owner))) found.push(join(dirname(target), entry))
  }
  return found
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'ESRCH'
  }
}

async function readNote(path: string): Promise<Note | undefined> {
  try {
    const note: unknown = JSON.parse(await readFile(path, 'utf8'))
    return isNote(note) ? note : undefined
  } catch {
    return undefined
  }
}

function isNote(value: unknown): value is Note {
  if (typeof value !== 'object' || value === null) return false
  const text = (name: string): boolean => typeof Reflect.get(value, name) === 'string'
  const integer = (name: string): boolean => Number.isSafeInteger(Reflect.get(value, name))
  const absent = (name: string): boolean => Reflect.get(value, name) === null
  return (
    integer('inode') &&
    text('url') &&
    text('validator') &&
    (text('etag') || absent('etag')) &&
    (text('lastModified') || absent('lastModified')) &&
    (integer('length') || absent('length'))
  )
}

function entityOf(note: Note): Entity {
  return {
    length: note.length ?? undefined,
    etag: note.etag ?? undefined,
    lastModified: note.lastModified ?? undefined,
    validator: note.validator,
    ranges: true,
  }
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  )
}
