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
  to: number | undefined = part.end,
): Body {
  const { first, end } = part
  const skip = from - first
  const length = to === undefined ? Number.POSITIVE_INFINITY : to - from
  // Fast path: the response's own framing says the same.
  if (skip === 0 && to === end && body.length === (to === undefined ? to : length)) return body
  if (end === undefined || to !== end) return new PartBody(body, skip, length)
  const tooLong = (): Error =>
    rangeError(url, `sent more than bytes ${first} to ${end - 1}, as it said`)
  return new PartBody(body, skip, length, tooLong)
}

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
  /** Bytes of the run that came in one frag with dropped ones, for {@link readInto}. */
  #rest: Uint8Array | undefined

  /**
   * @param length Infinity for the rest of the body.
   * @param tooLong Makes the error for bytes behind the run. Without it they stay unread.
   */
  constructor(body: Body, skip: number, length: number, tooLong?: () => Error) {
    this.length = Number.isFinite(length) ? length : undefined
    this.#body = body
    this.#skip = skip
    this.#left = length
    this.#tooLong = tooLong
  }

  get left(): number | undefined {
    return Number.isFinite(this.#left) ? this.#left : this.#body.left
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    if (this.#skip > 0) {
      const frag = await this.#drop()
      this.#rest = frag === undefined ? undefined : new Uint8Array(frag.bytes)
      frag?.release()
    }
    const wanted = Math.min(view.byteLength, this.#left)
    let filled = 0
    if (this.#rest !== undefined) {
      const part = this.#rest.subarray(0, wanted)
      view.set(part)
      filled = part.byteLength
      this.#left -= filled
      this.#rest = filled < this.#rest.byteLength ? this.#rest.subarray(filled) : undefined
      onProgress(filled)
    }
    if (filled === wanted) return filled
    const before = filled
    const bytes = await this.#body.readInto(view.subarray(before, wanted), (more) =>
      onProgress(before + more),
    )
    this.#left -= bytes
    return before + bytes
  }

  async next(): Promise<HostFrag | undefined> {
    if (this.#left === 0) {
      await this.atEnd()
      return undefined
    }
    const frag = this.#skip > 0 ? await this.#drop() : await this.#body.next()
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

  dropPresent(): void {}

  async atEnd(): Promise<boolean> {
    const rest = this.#rest !== undefined
    if (this.#left > 0) return !rest && this.#skip === 0 && this.#body.atEnd()
    if (this.#tooLong === undefined) return true
    if (rest || !(await this.#body.atEnd())) throw this.#tooLong()
    return true
  }

  /** Drops the bytes in front of the run. Resolves with the run's first bytes, out of the same frag. */
  async #drop(): Promise<HostFrag | undefined> {
    for (;;) {
      const frag = await this.#body.next()
      if (frag === undefined) {
        this.#skip = 0
        return undefined
      }
      const dropped = Math.min(this.#skip, frag.length)
      this.#skip -= dropped
      const rest = dropped < frag.length ? frag.slice(dropped) : undefined
      frag.release()
      if (rest !== undefined) return rest
      if (this.#skip === 0) return this.#body.next()
    }
  }
}
