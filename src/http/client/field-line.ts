/** Field lines, `name: value`, as heads and trailers have them (RFC 9112, 5). */

import { protocolError } from '../http-error.ts'

const TOKEN = 1
const TEXT = 2

/**
 * Kinds of text that each byte may be part of. A table, since a pattern for each name and value would
 * take half of a head's parsing time.
 */
const KINDS: Uint8Array = kinds()

function kinds(): Uint8Array {
  const table = new Uint8Array(256)
  // Excludes NUL, CR, LF and all other control characters but tab (RFC 9110, 5.5).
  for (let byte = 0x20; byte < 256; byte++) table[byte] = byte === 0x7f ? 0 : TEXT
  table[0x09] = TEXT
  // RFC 9110, 5.6.2.
  const signs = "!#$%&'*+-.^_`|~"
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  for (const sign of `${signs}0123456789${letters}${letters.toUpperCase()}`) {
    table[sign.charCodeAt(0)] = TOKEN | TEXT
  }
  return table
}

/**
 * Returns the index of the first character from `from` to `to` that is outside of `kind`, or `to` without
 * one.
 */
function endOf(kind: number, text: string, from: number, to: number): number {
  let at = from
  while (at < to && ((KINDS[text.charCodeAt(at)] ?? 0) & kind) !== 0) at++
  return at
}

/** True if `text` may name a field. */
export function isToken(text: string): boolean {
  return text !== '' && endOf(TOKEN, text, 0, text.length) === text.length
}

/** True if `text` may stand in a line of a head. */
export function isFieldText(text: string): boolean {
  return endOf(TEXT, text, 0, text.length) === text.length
}

/**
 * Adds name and value of the line from `start` to `end` of `text` to the lists.
 * @throws NETMEM_HTTP_PROTOCOL for a line that is not a field.
 */
export function parseFieldLine(
  text: string,
  start: number,
  end: number,
  names: string[],
  values: string[],
): void {
  const colon = endOf(TOKEN, text, start, end)
  if (colon === start || colon === end || text.charCodeAt(colon) !== COLON) {
    // A space before the colon and a folded line have been used to smuggle responses.
    throw protocolError(
      `The head has a line that is not a field: ${excerpt(text.slice(start, end))}`,
    )
  }
  const name = text.slice(start, colon)
  // Trims by hand: a pattern that trims both ends takes quadratic time on a value full of spaces.
  let from = colon + 1
  let to = end
  while (from < to && isBlank(text, from)) from++
  while (to > from && isBlank(text, to - 1)) to--
  if (endOf(TEXT, text, from, to) < to) {
    throw protocolError(`The field ${name} has a control character in it`)
  }
  names.push(name.toLowerCase())
  values.push(text.slice(from, to))
}

/** Returns the start of a peer's text, quoted for a message. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

const COLON = 0x3a
const SPACE = 0x20
const TAB = 0x09

function isBlank(text: string, at: number): boolean {
  const unit = text.charCodeAt(at)
  return unit === SPACE || unit === TAB
}
