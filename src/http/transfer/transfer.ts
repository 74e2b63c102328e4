/** One transfer through all its attempts: what to ask for next, and whether to believe the answer. */

import { ConnectionError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import type { Abortion } from '../client/abortion.ts'
import { endedEarly } from '../client/body.ts'
import { checkIdentity, isIdentity } from '../client/content-coding.ts'
import type { Context, Exchange, TakeWhole } from '../client/exchange.ts'
import { shown } from '../client/request.ts'
import { HttpError } from '../http-error.ts'
import { unsatisfiedLength } from './content-range.ts'
import { type Entity, entityOf, isOtherEntity, isSameEntity } from './entity.ts'
import { FileTarget } from './file-target.ts'
import { follow, type RangeFields } from './follow.ts'
import { MemoryTarget } from './memory-target.ts'
import {
  type Answer,
  bodyFrom,
  checkJoins,
  isRangeError,
  type Part,
  partOf,
  rangeError,
  refused,
} from './range-check.ts'
import { Ranges } from './ranges.ts'
import type { GetResult } from './result.ts'
import { Retries, statusError } from './retry.ts'
import { checkDigest, type Settings } from './settings.ts'
import type { Target } from './target.ts'

/** Pages that coded bytes pass through, of one transfer. */
const CODED_PAGES = 16
const CODED_PAGE_BYTES = 64 * 1024

const WHOLE: RangeFields = { range: undefined, ifRange: undefined }

export class Transfer {
  readonly #url: URL
  readonly #target: Target
  readonly #settings: Settings
  readonly #began: number
  readonly #context: Context
  /** Connections receive into it where a body may have to be decoded on its way to other pages. */
  readonly #ownPool: PagePool<Page> | undefined
  readonly #retries: Retries
  #entity: Entity | undefined
  /** The last response that brought something. */
  #last: Exchange | undefined
  #connections = 1
  /** True once the server's ranges turned out to be of no use. */
  #rangesRefused = false
  /** Small bodies into memory, which is where they are most of what a request costs. */
  readonly #takeWhole: TakeWhole | undefined

  constructor(url: URL, target: Target, settings: Settings, abortion: Abortion, began: number) {
    this.#url = url
    this.#target = target
    this.#settings = settings
    this.#began = began
    // What a decoder waits for must not lie in pages that its output waits for.
    this.#ownPool =
      settings.decompress && !(target instanceof MemoryTarget)
        ? createPool(hostProvider({ pages: CODED_PAGES, pageSize: CODED_PAGE_BYTES }))
        : undefined
    const pool = this.#ownPool ?? target.pool
    this.#context = { settings, abortion, pool, decodedPool: target.pool }
    this.#retries = new Retries(settings, abortion)
    if (target instanceof MemoryTarget && target.takesWhole) {
      this.#takeWhole = (head, body) =>
        head.status === 200 &&
        (settings.raw || isIdentity(head)) &&
        head.headers.all('content-range').length === 0 &&
        target.takeWhole(body)
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
    } finally {
      if (this.#ownPool !== undefined) await this.#endPool(this.#ownPool)
    }
  }

  async #endPool(pool: PagePool<Page>): Promise<void> {
    this.#settings.cache?.forget(pool)
    await pool.destroy()
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

  /** One request for what is missing; true when nothing is missing after it. */
  async #attempt(): Promise<boolean> {
    const from = this.#target.position
    const ranges =
      from === 0 && !this.#rangesRefused ? Ranges.first(this.#target, this.#settings) : undefined
    const asked = ranges?.fields ?? this.#rangeFrom(from)
    const takeWhole = asked === WHOLE ? this.#takeWhole : undefined
    const response = await follow(this.#context, this.#url, asked, takeWhole)
    if (response.taken) {
      this.#last = response
      return true
    }
    try {
      this.#retries.reached()
      if (this.#isPresent && this.#entity !== undefined) {
        return await this.#compare(response, this.#entity)
      }
      if (response.head.status === 416 && asked !== WHOLE)
        return await this.#nothingFrom(response, from)
      return await (from > 0 ? this.#goOn(response, from) : this.#begin(response, ranges))
    } catch (error) {
      if (asked === WHOLE || !isRangeError(error)) throw error
      // The server has no ranges that could be used, and may still send the whole.
      this.#rangesRefused = true
      this.#connections = 1
      const untouched = ranges === undefined && this.#target.position === from
      if (!untouched && !(await this.#target.restart())) throw error
      return false
    } finally {
      response.end()
    }
  }

  /** True while the file at the destination is compared with what the server has. */
  get #isPresent(): boolean {
    return this.#target instanceof FileTarget && this.#target.isPresent
  }

  #rangeFrom(from: number): RangeFields {
    if (from === 0 || this.#rangesRefused) return WHOLE
    return { range: `bytes=${from}-`, ifRange: this.#entity?.validator }
  }

  /** The answer to a request for the whole, or for the first of several ranges. */
  async #begin(response: Exchange, ranges: Ranges | undefined): Promise<boolean> {
    const { head, url } = response
    this.#check(response)
    const part = partOf(response, this.#settings)
    if (head.status === 206) checkJoins(url, part, 0, undefined)
    const entity = entityOf(head, part.total)
    const { validator } = entity
    const whole = part.end === undefined || part.end === part.total
    if (!whole && validator === undefined) {
      throw rangeError(url, 'sent a part, and nothing to tell whether the rest is of the same body')
    }
    this.#entity = entity
    this.#last = response
    this.#settings.onHead?.(head, entity.length, 0)
    await this.#target.open(head, entity)
    if (whole || ranges === undefined || part.total === undefined)
      return this.#receive(response, part, 0)
    return this.#inRanges({ response, part }, ranges, { ...entity, length: part.total })
  }

  /** The answer 416: that there is nothing from `from` on. */
  async #nothingFrom(response: Exchange, from: number): Promise<boolean> {
    const { head, url } = response
    const entity = this.#entity
    const said = head.headers.single('content-range')
    // What has no bytes has no ranges either.
    if (from === 0 || entity === undefined) throw refused(url, from, said)
    const length = unsatisfiedLength(said)
    if (isOtherEntity(head, entity)) return this.#changed('it has ended as another version')
    if (length !== undefined && (entity.length ?? Math.max(length, from)) !== length) {
      return this.#changed(`it has ${length} bytes now`)
    }
    if (from !== (entity.length ?? length)) throw refused(url, from, said)
    // It broke off between the last byte and the word that it was the last.
    if (this.#last === undefined) this.#settings.onHead?.(head, from, from)
    this.#last = response
    return true
  }

  /** The answer to a request for the rest from `from` on. */
  async #goOn(response: Exchange, from: number): Promise<boolean> {
    const { head, url } = response
    const entity = this.#entity
    if (entity === undefined) return false
    this.#check(response)
    if (isOtherEntity(head, entity)) return this.#changed('the server sends another version')
    const part = partOf(response, this.#settings)
    if (head.status === 206) {
      checkJoins(url, part, from, entity.length)
      this.#entity = { ...entity, length: entity.length ?? part.total }
    } else {
      // The server has no ranges after all, and sends all again.
      if ((part.total ?? entity.length) !== (entity.length ?? part.total)) {
        return this.#changed(`it has ${part.total} bytes now`)
      }
      if (await this.#target.restart()) return this.#begin(response, undefined)
      if (!isSameEntity(head, entity)) {
        return this.#changed('nothing says that what the server sends now is of the same version')
      }
    }
    if (this.#last === undefined) this.#settings.onHead?.(head, this.#entity?.length, from)
    this.#last = response
    return this.#receive(response, part, from)
  }

  /** The answer about a file that is there, and may be the whole body already. */
  async #compare(response: Exchange, entity: Entity): Promise<boolean> {
    const { head } = response
    const { position } = this.#target
    const length = unsatisfiedLength(head.headers.single('content-range'))
    const { lastModified } = entity
    const date = head.headers.single('last-modified') ?? lastModified
    if (head.status === 416 && length === position && (lastModified ?? date) === date) {
      this.#settings.onHead?.(head, length, length)
      this.#last = response
      return true
    }
    this.#entity = undefined
    await this.#target.restart()
    // A part of another body, or none: all of it is asked for next.
    if (head.status === 206 || head.status === 416) return false
    return this.#begin(response, undefined)
  }

  /** Takes what `response` brings from `from` on; true when the body is complete. */
  async #receive(response: Exchange, part: Part, from: number): Promise<boolean> {
    await this.#target.receive(bodyFrom(response, part, from))
    const { position } = this.#target
    const total = this.#entity?.length
    const end = part.end ?? total
    if (end !== undefined && position < end) throw endedEarly(position, total ?? end)
    if (end !== undefined && position > end) {
      throw rangeError(response.url, `sent more than the ${end} bytes that it said before`)
    }
    return total === undefined ? part.end === undefined : position === total
  }

  /** Receives all ranges, of which the first is on its way. */
  async #inRanges(
    first: Answer,
    ranges: Ranges,
    entity: Entity & { readonly length: number },
  ): Promise<boolean> {
    const range = { context: this.#context, url: this.#url, retries: this.#retries }
    try {
      if (await ranges.receive(range, first, entity)) {
        return await this.#changed('a range is of another version')
      }
    } finally {
      this.#connections = ranges.connections
    }
    return true
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

  #check({ head, url }: Exchange): void {
    if (head.status >= 300) throw statusError(url, head)
    if (head.status !== 206) checkIdentity(head, this.#settings)
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
      endKnown: last.endKnown || this.#entity?.length !== undefined,
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
