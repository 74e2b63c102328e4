/**
 * Notes beside parts, for the transfers that continue them. A part without a note belongs to another
 * program.
 */

import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Entity } from '../entity.ts'

/** A body that a later transfer can continue. */
export interface Resumable {
  /** URL without its query, which may be a secret. */
  readonly url: string
  readonly entity: Entity & { readonly validator: string }
  /** `Last-Modified`, if it is a strong validator. */
  readonly modifiedMs: number | undefined
  /** True if the part never has holes, so that it is also of use after a kill. */
  readonly sequential: boolean
}

export interface Note {
  /** Inode of the part. */
  readonly inode: string
  /** Body of the part, or `undefined` if no transfer can continue it. */
  readonly resumable: Resumable | undefined
}

const FORMAT = 1
const MAX_NOTE_BYTES = 256 * 1024

/**
 * Opens a file of this user, and follows no link. Resolves with `undefined` for other users' files, and
 * for other kinds of files.
 */
export async function openOwn(
  path: string,
): Promise<{ handle: FileHandle; status: Stats } | undefined> {
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants
  // Without O_NONBLOCK a FIFO would block. Windows has neither flag.
  const flags = O_RDWR | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0)
  const handle = await open(path, flags).catch(() => undefined)
  if (handle === undefined) return undefined
  const status = await handle.stat()
  const user = process.geteuid?.()
  const own = user === undefined || status.uid === user
  if (status.isFile() && status.nlink === 1 && own) return { handle, status }
  await handle.close()
  return undefined
}

/** Writes a note. All notes of one part have the same length, so that a reader never gets half of one. */
export async function writeNote(file: FileHandle, { inode, resumable }: Note): Promise<void> {
  let noted: object | null = null
  if (resumable !== undefined) {
    const { url, sequential, entity, modifiedMs = null } = resumable
    const { etag = null, lastModified = null, length = null, validator } = entity
    noted = {
      url,
      sequential: Number(sequential),
      etag,
      lastModified,
      modifiedMs,
      validator,
      length,
    }
  }
  await file.write(JSON.stringify({ netmem: FORMAT, inode, resumable: noted }), 0)
}

/**
 * Reads a note: `empty` if its transfer ended before it wrote the note, `undefined` if it is not a note
 * of netmem's.
 */
export async function readNote(file: FileHandle): Promise<Note | 'empty' | undefined> {
  const { size } = await file.stat()
  // A sign of life leaves one byte in an empty note.
  if (size <= 1) return 'empty'
  if (size > MAX_NOTE_BYTES) return undefined
  const bytes = Buffer.alloc(size)
  await file.read(bytes, 0, size, 0)
  try {
    return noteOf(JSON.parse(bytes.toString()))
  } catch {
    return undefined
  }
}

function noteOf(value: unknown): Note | undefined {
  if (field(value, 'netmem') !== FORMAT) return undefined
  const inode = field(value, 'inode')
  if (typeof inode !== 'string') return undefined
  return { inode, resumable: resumableOf(field(value, 'resumable')) }
}

function resumableOf(value: unknown): Resumable | undefined {
  const url = field(value, 'url')
  const sequential = field(value, 'sequential')
  const etag = field(value, 'etag') ?? undefined
  const lastModified = field(value, 'lastModified') ?? undefined
  const validator = field(value, 'validator')
  const length = field(value, 'length') ?? undefined
  const modifiedMs = field(value, 'modifiedMs') ?? undefined
  if (typeof url !== 'string' || typeof sequential !== 'number') return undefined
  if (!isFieldText(validator) || validator === '') return undefined
  if (etag !== undefined && !isFieldText(etag)) return undefined
  if (lastModified !== undefined && !isFieldText(lastModified)) return undefined
  if (length !== undefined && !isCount(length)) return undefined
  if (modifiedMs !== undefined && !isCount(modifiedMs)) return undefined
  const entity = { length, etag, lastModified, validator }
  return { url, sequential: sequential === 1, entity, modifiedMs }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** True if `value` can be sent in a field. */
function isFieldText(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e\x80-\xff]*$/.test(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
