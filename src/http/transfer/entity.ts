/** Versions of a body: their validators, and whether two responses are of the same version. */

import { isIdentity } from '../client/content-coding.ts'
import { httpDateMs } from '../client/http-date.ts'
import type { ResponseHead } from '../client/response-head.ts'

/** A version of a body, as its first response describes it. */
export interface Entity {
  /** Bytes of the whole body, or `undefined` where that is not known. */
  readonly length: number | undefined
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** Strong ETag or strong date, for `If-Range`, or `undefined` where there is neither. */
  readonly validator: string | undefined
}

/** Returns the entity of a head. `length` counts the bytes of the whole body. */
export function entityOf(head: ResponseHead, length: number | undefined): Entity {
  const { headers } = head
  const etag = headers.single('etag')
  const lastModified = headers.single('last-modified')
  const date = headers.single('date')
  // All codings of a body share its date, but not its ETag (RFC 9110, 8.8.3.3).
  return {
    length,
    etag,
    lastModified,
    validator: strongEtag(etag) ?? (isIdentity(head) ? strongDate(lastModified, date) : undefined),
  }
}

/** True if a response proves to be of the same version. */
export function isSameEntity(head: ResponseHead, entity: Entity): boolean {
  const etag = head.headers.single('etag')
  if (strongEtag(entity.etag) !== undefined) return etag === entity.etag
  if (entity.validator === undefined) return false
  return head.headers.single('last-modified') === entity.lastModified
}

/**
 * True if the response to a conditional request for a part says that it is of another version. It need
 * not repeat a date (RFC 9110, 15.3.7).
 */
export function isOtherEntity(head: ResponseHead, entity: Entity): boolean {
  const etag = head.headers.single('etag')
  const lastModified = head.headers.single('last-modified')
  if (etag !== undefined && strongEtag(entity.etag) !== undefined) return etag !== entity.etag
  if (lastModified !== undefined && entity.lastModified !== undefined) {
    return lastModified !== entity.lastModified
  }
  return etag !== undefined && etag !== entity.etag
}

/** Returns `etag` if it is strong (RFC 9110, 8.8.3). Bodies with the same weak ETag may differ. */
function strongEtag(etag: string | undefined): string | undefined {
  return etag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag) ? etag : undefined
}

/**
 * Returns `lastModified` if it is a validator: the body cannot have changed twice in its second (RFC
 * 9110, 8.8.2.2).
 */
export function strongDate(
  lastModified: string | undefined,
  date: string | undefined,
): string | undefined {
  if (lastModified === undefined || date === undefined) return undefined
  const [modified, sent] = [httpDateMs(lastModified), httpDateMs(date)]
  if (modified === undefined || sent === undefined) return undefined
  return sent - modified >= 1000 ? lastModified : undefined
}
