/** One transfer through all its attempts: what to ask for next, and whether to believe the answer. */

import { ConnectionError } from '../errors.ts'
import type { Abortion } from './abortion.ts'
import { endedEarly, withoutStart } from './body.ts'
import { unsatisfiedLength } from './content-range.ts'
import { type Entity, entityOf, isOtherEntity, isSameEntity } from './entity.ts'
import type { Context, Exchange, TakeWhole } from './exchange.ts'
import { FileTarget } from './file-target.ts'
import { follow, type RangeFields } from './follow.ts'
import { checkIdentity, isIdentity } from './framing.ts'
import { HttpError, protocolError } from './http-error.ts'
import { MemoryTarget } from './memory-target.ts'
import { checkRange, rangeError } from './range-check.ts'
import { Ranges } from './ranges.ts'
import { shown } from './request.ts'
import type { ResponseHead } from './response-head.ts'
import type { GetResult } from './result.ts'
import { Retries, statusError } from './retry.ts'
import { checkDigest, type Settings } from './settings.ts'
import type { Target } from './target.ts'

const WHOLE: RangeFields = { range: undefined, ifRange: undefined }

export class Transfer {
  readonly #url: URL
  readonly #target: Target
  readonly #settings: Settings
  readonly #began: number
  readonly #context: Context
  readonly #retries: Retries
  #entity: Entity | undefined
  /** The last response that brought something. */
  #last: Exchange | undefined
  #connections = 1
  /** Small bodies into memory, which is where they are most of what a request costs. */
  readonly #takeWhole: TakeWhole | undefined

  constructor(url: URL, target: Target, settings: Settings, abortion: Abortion, began: number) {
    this.#url = url
    this.#target = target
    this.#settings = settings
    this.#began = began
    this.#context = { settings, abortion, pool: target.pool }
    this.#retries = new Retries(settings, abortion)
    if (target instanceof MemoryTarget && target.takesWhole) {
      this.#takeWhole = (head, body) =>
        head.status === 200 && isIdentity(head) && target.takeWhole(body)
    }
  }

  async run(): Promise<GetResult> {
    const target = this.#target
    try {
      if (target instanceof FileTarget) this.#entity = await target.claim()
      await this.#receiveAll()
      const lastByteMs = performance.now() - this.#began
      let sha256: string | undefined
      // Nothing is left to be done to a body that was taken where it arrived.
      if (this.#last?.taken === true) this.#context.abortion.check()
      else sha256 = await this.#complete()
      if (!this.#context.abortion.isSettled) await this.#context.abortion.settled()
      return this.#result(sha256, lastByteMs)
    } catch (error) {
      await this.#context.abortion.settled()
      await target.fail(mayBeOfUse(error))
      throw error
    }
  }

  async #complete(): Promise<string | undefined> {
    const sha256 = await this.#target.digest()
    checkDigest(this.#settings, sha256)
    // An abort that came while the digest was computed counts.
    this.#context.abortion.check()
    await this.#target.commit()
    return sha256
  }

  async #receiveAll(): Promise<void> {
    for (;;) {
      try {
        if (await this.#attempt()) return
      } catch (error) {
        await this.#retries.wait(error)
        await this.#prepare(error)
      }
    }
  }

  /** Makes sure that the next attempt can go on from where the last one ended. */
  async #prepare(error: unknown): Promise<void> {
    if (this.#target.position === 0 || this.#entity?.validator !== undefined) return
    if (this.#isPresent) return
    // Nobody could tell whether the rest were of the same body.
    if (!(await this.#target.restart())) throw error
  }

  /** One request for what is missing; false when it turned out that all has to be asked for again. */
  async #attempt(): Promise<boolean> {
    const from = this.#target.position
    const ranges = from === 0 ? Ranges.first(this.#target, this.#settings) : undefined
    const asked = ranges?.fields ?? this.#rangeFrom(from)
    const takeWhole = asked === WHOLE ? this.#takeWhole : undefined
    const response = await follow(this.#context, this.#url, asked, takeWhole)
    if (response.taken) {
      this.#last = response
      return true
    }
    try {
      this.#retries.reached()
      const { head } = response
      if (from > 0) return await this.#goOn(response, from)
      if (ranges !== undefined) {
        // A range is not asked for in a coding, and a whole body that is to be decoded may be.
        if (this.#settings.decompress && !isIdentity(head)) return this.#withoutRanges()
        if (head.status === 206) return await this.#inRanges(response, ranges)
        // What has no bytes has no ranges either.
        if (head.status === 416) return this.#withoutRanges()
      }
      this.#check(head, response.url)
      if (head.status === 206) throw protocolError('The server sends a part that was not asked for')
      await this.#begin(response)
      return true
    } finally {
      response.end()
    }
  }

  /** True while the file at the destination is compared with what the server has. */
  get #isPresent(): boolean {
    return this.#target instanceof FileTarget && this.#target.isPresent
  }

  #rangeFrom(from: number): RangeFields {
    if (from === 0) return WHOLE
    return { range: `bytes=${from}-`, ifRange: this.#entity?.validator }
  }

  /** A whole body, from its start. */
  async #begin(response: Exchange): Promise<void> {
    const entity = entityOf(response.head, response.body.length)
    this.#entity = entity
    this.#last = response
    await this.#open(response.head, entity)
    await this.#receive(response, 0)
  }

  async #open(head: ResponseHead, entity: Entity): Promise<void> {
    this.#settings.onHead?.(head, entity.length, 0)
    await this.#target.open(head, entity)
  }

  /** The answer to a request for the rest from `from` on. */
  async #goOn(response: Exchange, from: number): Promise<boolean> {
    const { head, url } = response
    const entity = this.#entity
    if (entity === undefined) return false
    if (this.#isPresent) return this.#compare(response, entity)
    if (head.status === 416) {
      const length = unsatisfiedLength(head.headers.get('content-range'))
      if (length !== from || entity.length !== undefined) {
        return this.#changed(`it has ${length ?? 'fewer'} bytes now`)
      }
      if (isOtherEntity(head, entity)) return this.#changed('it has ended as another version')
      // It broke off between the last byte and the word that it was the last.
      this.#last = response
      return true
    }
    this.#check(head, url)
    if (head.status === 206) {
      if (isOtherEntity(head, entity)) {
        return this.#changed('the rest is of another version')
      }
      const { total = entity.length } = checkRange(response, from, undefined, entity.length)
      this.#entity = { ...entity, length: total }
      if (this.#last === undefined) this.#settings.onHead?.(head, total, from)
      this.#last = response
      await this.#receive(response, 0)
      return true
    }
    if (!isSameEntity(head, entity)) return this.#changed('the server sends another version')
    // The server has no ranges after all; what it sends again is the same.
    const skip = (await this.#target.restart()) ? 0 : from
    if (this.#last === undefined) this.#settings.onHead?.(head, entity.length, skip)
    this.#last = response
    await this.#receive(response, skip)
    return true
  }

  /** The answer about a file that is there, and may be the whole body already. */
  async #compare(response: Exchange, entity: Entity): Promise<boolean> {
    const { head, url } = response
    const { position } = this.#target
    const length = unsatisfiedLength(head.headers.get('content-range'))
    const { lastModified } = entity
    const date = head.headers.get('last-modified') ?? lastModified
    if (head.status === 416 && length === position && (lastModified ?? date) === date) {
      this.#settings.onHead?.(head, length, length)
      this.#last = response
      return true
    }
    this.#entity = undefined
    await this.#target.restart()
    // A part of another body, or none: all of it is asked for next.
    if (head.status === 206 || head.status === 416) return false
    this.#check(head, url)
    await this.#begin(response)
    return true
  }

  async #receive(response: Exchange, skip: number): Promise<void> {
    await this.#target.receive(skip === 0 ? response.body : withoutStart(response.body, skip))
    const { position } = this.#target
    const length = this.#entity?.length
    if (length !== undefined && position < length) throw endedEarly(position, length)
    if (length !== undefined && position > length) {
      throw rangeError(response.url, `more bytes than the ${length} that the body has`)
    }
  }

  /** The answer to a request for the first of several ranges. */
  async #inRanges(response: Exchange, ranges: Ranges): Promise<boolean> {
    checkIdentity(response.head)
    const range = checkRange(response, 0, ranges.firstLast, undefined)
    const entity = entityOf(response.head, range.total)
    this.#entity = entity
    if (range.total === undefined || entity.validator === undefined) {
      // Ranges that cannot be told to be of one body are not put together.
      return this.#withoutRanges()
    }
    this.#last = response
    await this.#open(response.head, entity)
    try {
      const changed = await ranges.receive(
        { context: this.#context, url: this.#url, retries: this.#retries },
        response,
        { ...entity, length: range.total },
      )
      if (changed) return await this.#changed('a range is of another version')
    } finally {
      this.#connections = ranges.connections
    }
    return true
  }

  #withoutRanges(): boolean {
    this.#entity = undefined
    Ranges.giveUp(this.#target)
    return false
  }

  /** The body is another one by now; false when the transfer begins anew. */
  async #changed(how: string): Promise<false> {
    const error = new HttpError(
      'NETMEM_HTTP_CHANGED',
      `${shown(this.#url)} changed during the transfer: ${how}. Get it again, or set onChange to 'restart'.`,
    )
    if (this.#settings.onChange === 'fail') throw error
    // A server that changes its mind all the time is no better than one that breaks off.
    this.#retries.restart(error)
    if (!(await this.#target.restart())) throw error
    this.#entity = undefined
    return false
  }

  #check(head: ResponseHead, url: URL): void {
    if (head.status >= 300) throw statusError(url, head)
    checkIdentity(head)
  }

  #result(sha256: string | undefined, lastByteMs: number): GetResult {
    const last = this.#last
    if (last === undefined)
      throw new ConnectionError('NETMEM_ENDED_EARLY', 'There was no response.')
    const { url } = last
    return {
      head: last.head,
      url: `${url.origin}${url.pathname}${url.search}`,
      bytes: this.#target.position,
      sha256,
      retries: this.#retries.used,
      connections: this.#connections,
      timing: {
        connectMs: last.connectMs,
        tlsMs: last.tlsMs,
        firstByteMs: last.firstByteAt - this.#began,
        lastByteMs,
      },
    }
  }
}

/** Whether what has arrived by then is good as far as it goes. */
function mayBeOfUse(error: unknown): boolean {
  if (!(error instanceof HttpError)) return true
  return (
    error.code !== 'NETMEM_HTTP_CHANGED' &&
    error.code !== 'NETMEM_HTTP_RANGE' &&
    error.code !== 'NETMEM_DIGEST_MISMATCH'
  )
}
