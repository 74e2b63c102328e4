/** One transfer through all its attempts: what to ask for next, and what to do with the answer. */

import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import type { AbortScope } from '../client/abort-scope.ts'
import { endedEarly } from '../client/body.ts'
import { isIdentity } from '../client/content-coding.ts'
import type { Exchange, TakeWhole } from '../client/exchange.ts'
import { RateLimiter } from '../client/rate-limiter.ts'
import { displayUrl } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { HttpError } from '../http-error.ts'
import { classify, type Outcome } from './classify.ts'
import { checkDigest } from './digest/digest.ts'
import type { Entity } from './entity.ts'
import { type FollowContext, follow } from './follow.ts'
import type { Part } from './part.ts'
import { bodyFrom } from './part-body.ts'
import { fieldsOf, type Plan, WHOLE_BODY } from './plan.ts'
import { RangeFetch } from './range-fetch.ts'
import type { GetResult } from './result.ts'
import { Retries } from './retries.ts'
import type { Settings } from './settings.ts'
import type { Target } from './target.ts'

/** Pages of one transfer that coded bytes pass through. */
const CODED_PAGES = 16
const CODED_PAGE_BYTES = 64 * 1024

export class Transfer {
  readonly #url: URL
  readonly #target: Target
  readonly #settings: Settings
  readonly #began: number
  readonly #context: FollowContext
  /** Pool for coded bytes, where a body may have to be decoded on its way to other pages. */
  readonly #ownPool: PagePool<Page> | undefined
  readonly #retries: Retries
  /** The version of the body that the target has a part of. */
  #entity: Entity | undefined
  /** Bytes that have arrived for good, and the place of the next one. */
  #position = 0
  /** True while the file at the destination may be the whole body. */
  #isPresent = false
  /** The last response that was of use. */
  #last: Exchange | undefined
  #connections = 1
  /** True once the server's ranges have proved useless. */
  #isUnranged = false

  constructor(url: URL, target: Target, settings: Settings, abort: AbortScope, began: number) {
    this.#url = url
    this.#target = target
    this.#settings = settings
    this.#began = began
    // A decoder's input must not use up the pages that its output needs.
    this.#ownPool =
      settings.decompress && target.holdsFrags
        ? createPool(hostProvider({ pages: CODED_PAGES, pageSize: CODED_PAGE_BYTES }))
        : undefined
    const pool = this.#ownPool ?? target.pool
    const { maxBytesPerSecond } = settings
    const limiter =
      maxBytesPerSecond === undefined ? undefined : new RateLimiter(maxBytesPerSecond, abort)
    this.#context = { settings, abort, limiter, pool, decodedPool: target.pool }
    this.#retries = new Retries(settings, abort)
  }

  async run(): Promise<GetResult> {
    const target = this.#target
    const { abort } = this.#context
    try {
      const claim = await target.claim?.()
      if (claim !== undefined) {
        this.#entity = claim.entity
        this.#position = claim.bytes
        this.#isPresent = claim.isPresent
      }
      await this.#receiveAll()
      const lastByteMs = performance.now() - this.#began
      let sha256: string | undefined
      // A body that was taken where it arrived needs no digest and no commit.
      if (this.#last?.taken === true) abort.check()
      else sha256 = await this.#complete()
      await abort.settled()
      return this.#result(sha256, lastByteMs)
    } catch (error) {
      await abort.settled()
      await target.fail(mayBeOfUse(error) ? this.#position : 0)
      throw error
    } finally {
      if (this.#ownPool !== undefined) {
        this.#settings.cache?.forget(this.#ownPool)
        await this.#ownPool.destroy()
      }
    }
  }

  async #complete(): Promise<string | undefined> {
    const sha256 = await this.#target.digest(this.#position)
    checkDigest(this.#settings, sha256)
    // The signal may have aborted during the digest.
    this.#context.abort.check()
    await this.#target.commit?.()
    return sha256
  }

  #result(sha256: string | undefined, lastByteMs: number): GetResult {
    const last = this.#last
    if (last === undefined) throw endedEarly(0, undefined)
    const { head, url, connectMs, tlsMs, firstByteAt, endKnown } = last
    return {
      head,
      url: `${url.origin}${url.pathname}${url.search}`,
      bytes: this.#position,
      endKnown: endKnown || this.#entity?.length !== undefined,
      sha256,
      retries: this.#retries.used,
      connections: this.#connections,
      timing: { connectMs, tlsMs, firstByteMs: firstByteAt - this.#began, lastByteMs },
    }
  }

  async #receiveAll(): Promise<void> {
    for (;;) {
      const from = this.#position
      const outcome = await this.#attempt(this.#plan(from))
      switch (outcome.kind) {
        case 'complete':
          return
        case 'discard':
          this.#restart(undefined)
          break
        case 'changed':
          this.#changed(outcome.how)
          break
        case 'unranged':
          this.#isUnranged = true
          this.#connections = 1
          // Drop pieces of ranges that have arrived.
          if (from === 0 || this.#isPresent || this.#position !== from) {
            this.#restart(outcome.error)
          }
          break
        case 'retry':
        case 'fail':
          await this.#retries.wait(outcome)
          if (!this.#canContinue) this.#restart(outcome.error)
      }
    }
  }

  /** True if the server can tell whether the rest is of the same version. */
  get #canContinue(): boolean {
    return this.#position === 0 || this.#isPresent || this.#entity?.validator !== undefined
  }

  /** Drops the bytes that have arrived. Throws `error` if they were handed out. */
  #restart(error: unknown): void {
    if (this.#position > 0 && !this.#target.seekable) throw error
    this.#position = 0
    this.#isPresent = false
  }

  #plan(from: number): Plan {
    const entity = this.#entity
    const ranged = !this.#isUnranged
    if (from > 0 && entity !== undefined) {
      const kind = this.#isPresent ? 'present' : 'rest'
      return { kind, ranged, from, entity, canRestart: this.#target.seekable }
    }
    const inRanges = this.#settings.connections > 1 && this.#target.seekable
    return { kind: 'whole', ranged: ranged && inRanges }
  }

  /** Makes one request for the missing bytes, and takes those that it brings. */
  #attempt(plan: Plan): Promise<Outcome> {
    const asked = fieldsOf(plan)
    const takeWhole: TakeWhole = (head, body) => this.#takeWhole(head, body)
    const isWhole = asked === WHOLE_BODY
    const request = follow(this.#context, this.#url, asked, isWhole ? takeWhole : undefined)
    return this.#retries.attempt(request, plan.ranged, (response) => this.#take(response, plan))
  }

  /** Fast path of small bodies into memory: takes a complete body that is all that was asked for. */
  #takeWhole(head: ResponseHead, body: Uint8Array): boolean {
    const isTaken =
      head.status === 200 &&
      (this.#settings.raw || isIdentity(head)) &&
      head.headers.all('content-range').length === 0 &&
      this.#target.takeWhole?.(body) === true
    if (isTaken) this.#position = body.byteLength
    return isTaken
  }

  async #take(response: Exchange, plan: Plan): Promise<Outcome> {
    if (response.taken) {
      this.#last = response
      return { kind: 'complete' }
    }
    const { head } = response
    const meaning = classify(response, plan, this.#settings.raw)
    switch (meaning.kind) {
      case 'begin': {
        const { part, entity } = meaning
        this.#restart(undefined)
        this.#entity = entity
        this.#last = response
        this.#settings.onHead?.(head, entity.length, 0)
        await this.#target.open(head, entity)
        const isWhole = part.end === undefined || part.end === part.total
        if (isWhole || plan.kind !== 'whole' || part.total === undefined) {
          return this.#receive(response, part, 0)
        }
        return this.#receiveRanges(response, part, { ...entity, length: part.total })
      }
      case 'continue':
        this.#entity = meaning.entity
        this.#tellFirst(head, meaning.entity.length, meaning.from)
        this.#last = response
        return this.#receive(response, meaning.part, meaning.from)
      case 'complete':
        this.#tellFirst(head, meaning.length, meaning.length)
        this.#last = response
        return { kind: 'complete' }
      default:
        return meaning
    }
  }

  /** Reports to `onHead` a body that an earlier transfer had begun. */
  #tellFirst(head: ResponseHead, length: number | undefined, from: number): void {
    if (this.#last === undefined) this.#settings.onHead?.(head, length, from)
  }

  /** Takes the bytes of `response` from byte `from` on. */
  async #receive(response: Exchange, part: Part, from: number): Promise<Outcome> {
    const total = this.#entity?.length
    const to = part.end ?? total
    const body = await bodyFrom(response, part, from, to)
    await this.#target.receive(body, from, (position) => this.#arrived(position, position))
    if (to !== undefined && this.#position < to) throw endedEarly(this.#position, total ?? to)
    return { kind: to === total ? 'complete' : 'more' }
  }

  /** Receives all ranges, of which `response` brings the first. */
  async #receiveRanges(
    response: Exchange,
    part: Part,
    entity: Entity & { readonly length: number },
  ): Promise<Outcome> {
    const fetch = new RangeFetch(
      {
        context: this.#context,
        url: this.#url,
        retries: this.#retries,
        target: this.#target,
        entity,
        arrived: (position, bytes) => this.#arrived(position, bytes),
      },
      part.end ?? entity.length,
    )
    const outcome = await fetch.run(response)
    this.#connections = fetch.connections
    return outcome
  }

  /** Notes that all bytes before `position` have arrived, and `bytes` in all. */
  #arrived(position: number, bytes: number): void {
    this.#position = position
    this.#target.reached?.(position)
    this.#settings.onProgress?.(bytes)
  }

  /** Begins anew with the changed body, or throws NETMEM_HTTP_CHANGED, as `onChange` says. */
  #changed(how: string): void {
    const error = new HttpError(
      'NETMEM_HTTP_CHANGED',
      `${displayUrl(this.#url)} changed during the transfer: ${how}. Get it again, or set onChange to 'restart'.`,
    )
    if (this.#settings.onChange === 'fail') throw error
    // Each change counts as an attempt, or a body that keeps changing would never end.
    this.#retries.restart(error)
    this.#restart(error)
    this.#entity = undefined
  }
}

/** True if the bytes that arrived before `error` are good. */
function mayBeOfUse(error: unknown): boolean {
  if (!(error instanceof HttpError)) return true
  return (
    error.code !== 'NETMEM_HTTP_CHANGED' &&
    error.code !== 'NETMEM_HTTP_RANGE' &&
    error.code !== 'NETMEM_DIGEST_MISMATCH'
  )
}
