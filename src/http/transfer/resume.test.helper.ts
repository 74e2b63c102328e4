/** Helpers of the tests of resumed transfers: the content from any byte on. Not published. */

import { content } from '../http.test.helper.ts'

export const SIZE: number = content.length

/** Another body of the same size. */
export const OTHER: Buffer = Buffer.from(content).reverse()

/** Head of the content from `first` on, all of it or a part. */
export function headFrom(
  first: number,
  { etag = '"1"', total = SIZE }: { readonly etag?: string; readonly total?: number } = {},
): string {
  const fields = `ETag: ${etag}\r\nAccept-Ranges: bytes\r\nContent-Length: ${total - first}\r\n`
  return first === 0
    ? `HTTP/1.1 200 OK\r\n${fields}\r\n`
    : `HTTP/1.1 206 Partial Content\r\n${fields}Content-Range: bytes ${first}-${total - 1}/${total}\r\n\r\n`
}
