/** A part of a response's body: the bytes that a transfer still lacks. */

import type { HostFrag } from '../../pool/frag.ts'
import type { Body } from '../client/body.ts'
import type { Exchange } from '../client/exchange.ts'
import type { Part } from './part.ts'
import { rangeError } from './range-error.ts'

/**
 * Resolves with bytes `from` to `to` of the whole body, out of `response`, which brings `part`. Bytes
 * before them are received and dropped. Bytes of the part behind `to` stay unread. Bytes behind the part
 * are an error, NETMEM_HTTP_RANGE.
 */
export async function bodyFrom(
  { body, url }: Exchange,
  part: Part,
  from: number,
  to: number | undefined,
): Promise<Body> {
  const { first, end = to } = part
  await drop(body, from - first)
  const sent = end === undefined ? undefined : end - first
  // Fast path: the response's own framing says the same.
  if (to === end && body.length === sent) return body
  const length = to === undefined ? undefined : to - from
  if (end === undefined || to !== end) return new PartBody(body, length)
  const tooLong = (): Error =>
    rangeError(url, `sent more than bytes ${first} to ${end - 1}, as it said`)
  return new PartBody(body, length, tooLong)
}

/** Bytes in front of a part that are received at a time. */
const DROPPED_BYTES = 64 * 1024

/** Receives the first `bytes` bytes of a body, or as many as it has. */
async function drop(body: Body, bytes: number): Promise<void> {
  if (bytes === 0) return
  const unwanted = new Uint8Array(Math.min(bytes, DROPPED_BYTES))
  for (let left = bytes; left > 0 && !(await body.atEnd()); ) {
    left -= await body.readInto(unwanted.subarray(0, left), () => {})
  }
}

/** The next bytes of another body, up to a number. */
class PartBody implements Body {
  readonly length: number | undefined
  readonly #body: Body
  readonly #tooLong: (() => Error) | undefined
  #left: number

  /**
   * @param length `undefined` for the rest of the body.
   * @param tooLong Makes the error for bytes behind them. Without it they stay unread.
   */
  constructor(body: Body, length: number | undefined, tooLong?: () => Error) {
    this.length = length
    this.#body = body
    this.#left = length ?? Number.POSITIVE_INFINITY
    this.#tooLong = tooLong
  }

  get left(): number | undefined {
    return Number.isFinite(this.#left) ? this.#left : this.#body.left
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
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
    if (this.#left > 0) return this.#body.atEnd()
    if (this.#tooLong !== undefined && !(await this.#body.atEnd())) throw this.#tooLong()
    return true
  }
}
