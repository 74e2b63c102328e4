/** Strict parser of `Content-Range` (RFC 9110, 14.4), which says where bytes belong. */

/** Bytes `first` to `last`, both included, of `total`, or `undefined` where the server does not know. */
export interface ContentRange {
  readonly first: number
  readonly last: number
  readonly total: number | undefined
}

/** Parses a range of bytes. Returns `undefined` for any other text, and for a range that contradicts itself. */
export function parseContentRange(text: string): ContentRange | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2])
  const total = match[3] === '*' ? undefined : Number(match[3])
  if (!Number.isSafeInteger(last) || first > last) return undefined
  if (total !== undefined && (!Number.isSafeInteger(total) || last >= total)) return undefined
  return { first, last, total }
}

/** Returns the length that a 416 names, as in `bytes *\/1234`, or `undefined` if it names none. */
export function unsatisfiedLength(text: string | undefined): number | undefined {
  const match = /^bytes \*\/(\d{1,15})$/i.exec(text ?? '')
  return match === null ? undefined : Number(match[1])
}
