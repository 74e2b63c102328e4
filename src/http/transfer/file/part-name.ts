/**
 * Names of a part, of its note and of its owner's socket. They are unpredictable, and fit wherever the
 * destination's name fits.
 */

import { createHash, randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'

/** Longest name of a destination that begins the name of its part. */
const LONGEST_STEM_BYTES = 80
/** Bytes of a longer name before its digest. */
const SHORTENED_BYTES = 62
const PART_BYTES = 8
const OWNER_BYTES = 10

/** Owner of a part that no transfer uses. */
export const FREE = 'free'
/** Owner of a file that is written in one call, and has no note. */
export const WHOLE = 'whole'

/** An owner is the place it runs in and random digits. */
const ENDING = /^\.[0-9a-f]{16}\.(?:([0-9a-f]{32}|free)\.part\.json|(whole)\.part)$/

/** Name of a part beside its destination. */
export interface PartName {
  /** Path of the part without its endings. */
  readonly base: string
  readonly owner: string
}

/** Returns the base of a new part of `target`. */
export function newBase(target: string): string {
  const id = randomBytes(PART_BYTES).toString('hex')
  return join(dirname(target), `${stemOf(basename(target))}.${id}`)
}

/** Returns a new owner that runs in `place`, which is of 12 hexadecimal digits. */
export function ownerIn(place: string): string {
  return place + randomBytes(OWNER_BYTES).toString('hex')
}

/** Returns the path of a part. */
export function partPath(base: string): string {
  return `${base}.part`
}

/** Returns the path of a part's note. Renaming the note claims the part. */
export function notePath({ base, owner }: PartName): string {
  return `${base}.${owner}.part.json`
}

/** Returns the path that a whole file is written to before it is renamed to its destination. */
export function wholePath(base: string): string {
  return `${base}.${WHOLE}.part`
}

/** Returns the path of the socket by which an owner shows that it is alive. */
export function socketPath({ base, owner }: PartName): string {
  return join(dirname(base), `.netmem-${owner}`)
}

/**
 * Parses the name of a file beside `target`. Returns `undefined` unless it is of a note or of a whole
 * file of `target`.
 */
export function parsePartName(target: string, name: string): PartName | undefined {
  const stem = stemOf(basename(target))
  const match = name.startsWith(stem) ? ENDING.exec(name.slice(stem.length)) : null
  const owner = match?.[1] ?? match?.[2]
  const end = stem.length + 1 + 2 * PART_BYTES
  return owner === undefined
    ? undefined
    : { base: join(dirname(target), name.slice(0, end)), owner }
}

function stemOf(name: string): string {
  const bytes = Buffer.from(name)
  if (bytes.byteLength <= LONGEST_STEM_BYTES) return name
  let end = SHORTENED_BYTES
  // Do not cut a character of UTF-8.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  return `${bytes.toString('utf8', 0, end)}~${digest}`
}
