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
}

export interface Note {
  /** Inode of the part, or `undefined` if its transfer ended before it wrote the note. */
  readonly inode?: string
  /** Body of the part, or `undefined` if no transfer can continue it. */
  readonly resumable?: Resumable | undefined
}

const FORMAT = 2

/**
 * Opens a file of this user, and follows no link. Resolves with `undefined` for other users' files, and
 * for other kinds of files.
 */
export async function openOwn(
  path: string,
): Promise<{ handle: FileHandle; status: Stats } | undefined> {
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants
  // A FIFO would block without O_NONBLOCK. Windows has neither flag.
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

/** Writes a note. A later note of the same part is never shorter, so it need not be cut first. */
export async function writeNote(file: FileHandle, { inode, resumable }: Note): Promise<void> {
  const { entity, ...rest } = resumable ?? {}
  await file.write(JSON.stringify({ netmem: FORMAT, inode, ...rest, ...entity }), 0)
}

/** Reads a note from its start, or `undefined` if it is not a note of netmem's. */
export async function readNote(file: FileHandle): Promise<Note | undefined> {
  const text = await file.readFile('utf8')
  // A sign of life leaves one byte in an empty note.
  if (text.length <= 1) return {}
  try {
    return noteOf(new Map(Object.entries(JSON.parse(text))))
  } catch {
    return undefined
  }
}

function noteOf(fields: ReadonlyMap<string, unknown>): Note | undefined {
  const inode = textOf(fields.get('inode'))
  const url = textOf(fields.get('url'))
  const validator = textOf(fields.get('validator'))
  if (inode === undefined || fields.get('netmem') !== FORMAT) return undefined
  if (url === undefined || validator === undefined) return { inode }
  const entity = {
    length: countOf(fields.get('length')),
    etag: textOf(fields.get('etag')),
    lastModified: textOf(fields.get('lastModified')),
    validator,
  }
  return { inode, resumable: { url, entity, modifiedMs: countOf(fields.get('modifiedMs')) } }
}

/** Returns a text that can be sent in a field. Throws for anything else that is present. */
function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string' && /^[\x20-\x7e\x80-\xff]+$/.test(value)) return value
  throw new Error('A field is no text.')
}

function countOf(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new Error('A field is no count.')
}
