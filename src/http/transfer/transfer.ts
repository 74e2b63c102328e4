/** One transfer through all its attempts: what to ask for next, and what to do with the answer. */

import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import type { AbortScope } from '../client/abort-scope.ts'
import { endedEarly } from '../client/body.ts'
import { isIdentity } from '../client/content-coding.ts'
import type { Exchange, TakeWhole } from '../client/exchange.ts'
import { displayUrl } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { HttpError } from '../http-error.ts'
import { classify, type Meaning } from './classify.ts'
import { checkDigest } from './digest/digest.ts'
import type { Entity } from './entity.ts'
import { type FollowContext, follow } from './follow.ts'
import type { Part } from './part.ts'
import { bodyFrom } from './part-body.ts'
import { fieldsOf, type Plan, WHOLE_BODY } from './plan.ts'
import { isRangeError, rangeError } from './range-error.ts'
import { RangeFetch } from './range-fetch.ts'
import type { GetResult } from './result.ts'
import { Retries } from './retries.ts'
import type { Settings } from './settings.ts'
import type { Target } from './target.ts'

/** Pages of one transfer that coded bytes pass through. */
const CODED_PAGES = 16
const CODED_PAGE_BYTES = 64 * 1024

/** Outcome of one attempt. `more` means that the rest has to be asked for. */
type Outcome = Exclude<Meaning, { kind: 'begin' | 'continue' | 'complete' }> | Done
type Done = { readonly kind: 'complete' | 'more' }

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
  /** True while the file at the destination may be the whole body. */
  #isPresent = false
  /** The last response that was of use. */
  #last: Exchange | undefined
  #connections = 1
  /** True once the server's ranges have proved useless. */
  #isUnranged = false
  /** Fast path of small bodies into memory. */
  readonly #takeWhole: TakeWhole | undefined

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
    this.#context = { settings, abort, pool, decodedPool: target.pool }
    this.#retries = new Retries(settings, abort)
    if (target.takeWhole !== undefined) {
      this.#takeWhole = (head, body) =>
        head.status === 200 &&
        (settings.raw || isIdentity(head)) &&
        head.headers.all('content-range').length === 0 &&
        target.takeWhole?.(body) === true
    }
  }

  async run(): Promise<GetResult> {
    const target = this.#target
    const { abort } = this.#context
    try {
      const claim = await target.claim?.()
      if (claim !== undefined && claim.kind !== 'nothing') {
        this.#entity = claim.entity
        this.#isPresent = claim.kind === 'present'
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
      await target.fail(mayBeOfUse(error))
      throw error
    } finally {
      if (this.#ownPool !== undefined) {
        this.#settings.cache?.forget(this.#ownPool)
        await this.#ownPool.destroy()
      }
    }
  }

  async #complete(): Promise<string | undefined> {
    const sha256 = await this.#target.digest()
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
      bytes: this.#target.position,
      endKnown: endKnown || this.#entity?.length !== undefined,
      sha256,
      retries: this.#retries.used,
      connections: this.#connections,
      timing: { connectMs, tlsMs, firstByteMs: firstByteAt - this.#began, lastByteMs },
    }
  }

  async #receiveAll(): Promise<void> {
    for (;;) {
      const from = this.#target.position
      const outcome = await this.#attempt(this.#plan(from))
      switch (outcome.kind) {
        case 'complete':
          return
        case 'more':
          break
        case 'discard':
          await this.#restart(undefined)
          break
        case 'changed':
          await this.#changed(outcome.how)
          break
        case 'unranged':
          this.#isUnranged = true
          this.#connections = 1
          // Drop pieces of ranges that have arrived.
          if (from === 0 || this.#isPresent || this.#target.position !== from) {
            await this.#restart(outcome.error)
          }
          break
        default:
          await this.#retries.wait(outcome)
          if (!this.#canContinue) await this.#restart(outcome.error)
      }
    }
  }

  /** True if the server can tell whether the rest is of the same version. */
  get #canContinue(): boolean {
    const hasNothing = this.#target.position === 0
    return hasNothing || this.#isPresent || this.#entity?.validator !== undefined
  }

  /** Drops the bytes that have arrived. Throws `error` if they were handed out. */
  async #restart(error: unknown): Promise<void> {
    if (!this.#target.canRestart) throw error
    await this.#target.restart()
    this.#isPresent = false
  }

  #plan(from: number): Plan {
    const entity = this.#entity
    if (this.#isPresent && entity !== undefined) {
      return { kind: 'present', ranged: true, from, entity }
    }
    const ranged = !this.#isUnranged
    if (from > 0 && entity !== undefined) {
      return { kind: 'rest', ranged, from, entity, canRestart: this.#target.canRestart }
    }
    const inRanges = this.#settings.connections > 1 && this.#target.ranges !== undefined
    return { kind: 'whole', ranged: ranged && inRanges }
  }

  /** Makes one request for the missing bytes, and takes those that it brings. */
  async #attempt(plan: Plan): Promise<Outcome> {
    try {
      const asked = fieldsOf(plan)
      const takeWhole = asked === WHOLE_BODY ? this.#takeWhole : undefined
      const response = await follow(this.#context, this.#url, asked, takeWhole)
      if (response.taken) {
        this.#last = response
        return { kind: 'complete' }
      }
      try {
        this.#retries.reached()
        return await this.#take(response, plan)
      } finally {
        response.end()
      }
    } catch (error) {
      if (plan.ranged && isRangeError(error)) return { kind: 'unranged', error }
      return this.#retries.failureOf(error)
    }
  }

  async #take(response: Exchange, plan: Plan): Promise<Outcome> {
    const { head } = response
    const meaning = classify(response, plan, this.#settings.raw)
    switch (meaning.kind) {
      case 'begin': {
        const { part, entity } = meaning
        if (this.#target.position > 0) await this.#restart(undefined)
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
  async #receive(response: Exchange, part: Part, from: number): Promise<Done> {
    await this.#target.receive(bodyFrom(response, part, from))
    const { position } = this.#target
    const total = this.#entity?.length
    const end = part.end ?? total
    if (end !== undefined && position < end) throw endedEarly(position, total ?? end)
    if (end !== undefined && position > end) {
      throw rangeError(response.url, `sent more than the ${end} bytes that it said before`)
    }
    const isComplete = total === undefined ? part.end === undefined : position === total
    return { kind: isComplete ? 'complete' : 'more' }
  }

  /** Receives all ranges, of which `response` brings the first. */
  async #receiveRanges(
    response: Exchange,
    part: Part,
    entity: Entity & { readonly length: number },
  ): Promise<Outcome> {
    const target = this.#target.ranges
    if (target === undefined) return this.#receive(response, part, 0)
    const job = { context: this.#context, url: this.#url, retries: this.#retries }
    const fetch = new RangeFetch({ ...job, target, entity }, { response, part })
    try {
      return await fetch.run()
    } finally {
      this.#connections = fetch.connections
    }
  }

  /** Begins anew with the changed body, or throws NETMEM_HTTP_CHANGED, as `onChange` says. */
  async #changed(how: string): Promise<void> {
    const error = new HttpError(
      'NETMEM_HTTP_CHANGED',
      `${displayUrl(this.#url)} changed during the transfer: ${how}. Get it again, or set onChange to 'restart'.`,
    )
    if (this.#settings.onChange === 'fail') throw error
    // Each change counts as an attempt, or a body that keeps changing would never end.
    this.#retries.restart(error)
    await this.#restart(error)
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
