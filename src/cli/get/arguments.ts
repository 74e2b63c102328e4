/** What `netmem get` is told, read strictly. */

import { usage } from '../exit.ts'

/** A URL; without a scheme it is http:. */
export function parseUrlArgument(text: string): URL {
  let url: URL
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  } catch {
    throw usage(`'${text}' is no URL, as https://example.org/file.`)
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw usage(`'${text}' begins with ${url.protocol}//; there are http:// and https://.`)
}

/** `Name: value`. */
export function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':')
  const name = text.slice(0, Math.max(0, colon)).trim()
  if (name === '') throw new RangeError(`'${text}' is no header field; write Name: value`)
  return [name, text.slice(colon + 1).trim()]
}

/** 64 hexadecimal digits. */
export function parseSha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase()
  throw new RangeError('a SHA-256 has 64 hexadecimal digits')
}
