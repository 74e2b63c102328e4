/** A part of a response's body: the bytes that a transfer still lacks. */

import type { HostFrag } from '../../pool/frag.ts'
import type { Body } from '../client/body.ts'
import type { Exchange } from '../client/exchange.ts'
import type { Part } from './part.ts'
import { rangeError } from './range-error.ts'

/**
 * Returns bytes `from` to `to` of the whole body, out of `response`, which brings `part`. Bytes of the
 * part behind `to` stay unread. Bytes behind the part are an error, NETMEM_HTTP_RANGE.
 */
export function bodyFrom(
  { body, url }: Exchange,
  part: Part,
  from: number,
  to: number | undefined,
): Body {
  const { first, end = to } = part
  const skip = from - first
  const length = to === undefined ? undefined : to - from
  // Fast path: the response's own framing says the same.
  if (skip === 0 && to === end && body.length === length) return body
  if (end === undefined || to !== end) return new PartBody(body, skip, length)
  const tooLong = (): Error =>
    rangeError(url, `sent more than bytes ${first} to ${end - 1}, as it said`)
  return new PartBody(body, skip, length, tooLong)
}

/** Bytes in front of a run that are received and dropped at a time. */
const DROPPED_BYTES = 64 * 1024

/**
 * A run of bytes of another body: up to `length` bytes behind its first `skip`. Bytes in front of the run
 * are received and dropped.
 */
class PartBody implements Body {
  readonly length: number | undefined
  readonly #body: Body
  readonly #tooLong: (() => Error) | undefined
  #skip: number
  #left: number

  /**
   * @param length `undefined` for the rest of the body.
   * @param tooLong Makes the error for bytes behind the run. Without it they stay unread.
   */
  constructor(body: Body, skip: number, length: number | undefined, tooLong?: () => Error) {
    this.length = length
    this.#body = body
    this.#skip = skip
    this.#left = length ?? Number.POSITIVE_INFINITY
    this.#tooLong = tooLong
  }

  get left(): number | undefined {
    return Number.isFinite(this.#left) ? this.#left : this.#body.left
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    await this.#drop()
    const bytes = await this.#body.readInto(view.subarray(0, this.#left), onProgress)
    this.#left -= bytes
    return bytes
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.atEnd()) return undefined
    const frag = await this.#body.next()
    if (frag === undefined || frag.length <= this.#left) {
      this.#left -= frag?.length ?? 0
      return frag
    }
    const part = frag.slice(0, this.#left)
    frag.release()
    this.#left = 0
    if (this.#tooLong === undefined) return part
    part.release()
    throw this.#tooLong()
  }

  async atEnd(): Promise<boolean> {
    await this.#drop()
    if (this.#left > 0) return this.#body.atEnd()
    if (this.#tooLong !== undefined && !(await this.#body.atEnd())) throw this.#tooLong()
    return true
  }

  /** Drops the bytes in front of the run. */
  async #drop(): Promise<void> {
    if (this.#skip === 0) return
    const unwanted = new Uint8Array(Math.min(this.#skip, DROPPED_BYTES))
    while (this.#skip > 0 && !(await this.#body.atEnd())) {
      this.#skip -= await this.#body.readInto(unwanted.subarray(0, this.#skip), () => {})
    }
  }
}
