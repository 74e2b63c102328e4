/** Field lines, `name: value`, as heads and trailers have them (RFC 9112, 5). */

import { protocolError } from './http-error.ts'

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Neither NUL nor a bare CR or LF, nor any other control but tab (RFC 9110, 5.5). */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/

/** Whether `text` may name a field. */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

/** Whether `text` may stand in a line of a head. */
export function isFieldText(text: string): boolean {
  return !FORBIDDEN.test(text)
}

/** Adds what the line says to both lists. Throws NETMEM_HTTP_PROTOCOL. */
export function parseFieldLine(line: string, names: string[], values: string[]): void {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0))
  if (!isToken(name)) {
    // A space before the colon, or a folded line: both have been used to smuggle responses.
    throw protocolError(`The head has a line that is no field: ${excerpt(line)}`)
  }
  // By hand: a pattern that trims both ends takes quadratic time on a value full of spaces.
  let from = colon + 1
  let to = line.length
  while (from < to && isBlank(line, from)) from++
  while (to > from && isBlank(line, to - 1)) to--
  const value = line.slice(from, to)
  if (!isFieldText(value)) throw protocolError(`The field ${name} has a control character in it`)
  names.push(name.toLowerCase())
  values.push(value)
}

/** The start of something a peer sent, fit for a message. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

const SPACE = 0x20
const TAB = 0x09

function isBlank(text: string, at: number): boolean {
  const unit = text.charCodeAt(at)
  return unit === SPACE || unit === TAB
}
