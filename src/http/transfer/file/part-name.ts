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

/** `.<part>.<owner>.part.json`: an owner is the place it runs in and random digits. */
const NOTE_ENDING = /^\.([0-9a-f]{16})\.([0-9a-f]{32}|free)\.part\.json$/

/** `.<part>.whole.part`: a file that is written in one call, and has no note. */
const WHOLE_ENDING = /^\.[0-9a-f]{16}\.whole\.part$/

/** Paths of a part and its note. */
export interface PartPaths {
  readonly folder: string
  readonly part: string
  /** Returns the path of the note of `owner`. Renaming the note claims the part. */
  note(owner: string): string
}

/** Returns the paths of a part of `target`. Default: a new part. */
export function partPaths(
  target: string,
  id: string = randomBytes(PART_BYTES).toString('hex'),
): PartPaths {
  const folder = dirname(target)
  const start = join(folder, `${stemOf(basename(target))}.${id}`)
  return { folder, part: `${start}.part`, note: (owner) => `${start}.${owner}.part.json` }
}

/** Returns the path that a whole file is written to before it is renamed to `target`. */
export function wholePath(target: string): string {
  return `${partPaths(target).part.slice(0, -'.part'.length)}.whole.part`
}

/** True if `name` beside `target` can be of {@link wholePath}. */
export function isWholeName(target: string, name: string): boolean {
  const stem = stemOf(basename(target))
  return name.startsWith(`${stem}.`) && WHOLE_ENDING.test(name.slice(stem.length))
}

/**
 * Parses the name of a file beside `target`. Returns `undefined` unless it is the note of a part of
 * `target`.
 */
export function parseNoteName(
  target: string,
  name: string,
): { readonly id: string; readonly owner: string } | undefined {
  const stem = stemOf(basename(target))
  if (!name.startsWith(`${stem}.`)) return undefined
  const match = NOTE_ENDING.exec(name.slice(stem.length))
  const [, id, owner] = match ?? []
  return id === undefined || owner === undefined ? undefined : { id, owner }
}

/** Returns a new owner that runs in `place`, which is of 12 hexadecimal digits. */
export function ownerIn(place: string): string {
  return place + randomBytes(OWNER_BYTES).toString('hex')
}

/** Returns the name of the socket by which an owner shows that it is alive. */
export function socketName(owner: string): string {
  return `.netmem-${owner}`
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
