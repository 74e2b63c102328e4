/** Strict parsers for the arguments of `netmem get`. */

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { authorizationValue, headerFields } from '../../http/client/request.ts'
import type { Authorization } from '../../http/index.ts'
import { describeError, usage } from '../exit.ts'
import { parseSize } from '../size.ts'

/** Lowest rate that getInto can keep. */
const LEAST_RATE = 1024

/** A URL. Default scheme: http:. */
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

/** `Name: value` of a field that callers may set. */
export function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':')
  const name = text.slice(0, Math.max(0, colon)).trim()
  if (name === '') throw new RangeError(`'${text}' is no header field; write Name: value`)
  const value = text.slice(colon + 1).trim()
  headerFields({ [name]: value })
  return [name, value]
}

/** Joins fields of one name into one, by the rules of RFC 9110, 5.3, and RFC 6265, 5.4. */
export function headersOf(fields: readonly (readonly [string, string])[]): Record<string, string> {
  const headers = new Map<string, readonly [string, string]>()
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    const [first, before] = headers.get(key) ?? [name]
    const between = key === 'cookie' ? '; ' : ', '
    headers.set(key, [first, before === undefined ? value : before + between + value])
  }
  return Object.fromEntries(headers.values())
}

/** Bytes per second. */
export function parseRate(text: string): number {
  const rate = parseSize(text)
  if (rate < LEAST_RATE) throw new RangeError(`it is at least ${LEAST_RATE} bytes a second`)
  return rate
}

/** 64 hexadecimal digits. */
export function parseSha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase()
  throw new RangeError('a SHA-256 has 64 hexadecimal digits')
}

/** A day. */
const MAX_SECONDS = 86_400

/** Parses seconds, with or without a fraction. Returns milliseconds. */
export function parseSeconds(text: string): number {
  const ms = /^\d+(\.\d+)?s?$/.test(text) ? Math.ceil(Number.parseFloat(text) * 1_000) : 0
  if (ms >= 1 && ms <= MAX_SECONDS * 1_000) return ms
  throw new RangeError(`it is in seconds, as 10 or 0.5, up to ${MAX_SECONDS}`)
}

/** `NAME:PASSWORD`. The password may have colons in it. */
export function parseUser(text: string): Authorization {
  const colon = text.indexOf(':')
  if (colon < 1) throw new RangeError('write NAME:PASSWORD')
  const authorization = { username: text.slice(0, colon), password: text.slice(colon + 1) }
  authorizationValue(authorization)
  return authorization
}

/** Returns the text of a PEM file. Node.js ignores other text, and would then trust no server. */
export async function readCertificates(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'latin1')
  } catch (error) {
    throw usage(`--cacert cannot be read: ${describeError(error).message}.`)
  }
  const begins = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/
  if (!begins.test(text)) {
    throw usage(
      `--cacert ${path} has no certificate in it; it takes a PEM file, with lines of -----BEGIN CERTIFICATE-----.`,
    )
  }
  try {
    for (const part of text.split(/(?=-----BEGIN )/)) {
      if (begins.test(part)) new X509Certificate(part)
    }
  } catch (error) {
    throw usage(
      `--cacert ${path} has a certificate that is damaged: ${describeError(error).message}.`,
    )
  }
  return text
}
