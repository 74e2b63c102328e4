/**
 * Several ranges of one body at once, for servers and paths that hold each connection to a rate.
 * `range-schedule.ts` says which bytes are next, and this fetches them.
 */

import { endedEarly } from '../client/body.ts'
import type { Exchange } from '../client/exchange.ts'
import { HttpError } from '../http-error.ts'
import { classify, type Failure } from './classify.ts'
import type { Entity } from './entity.ts'
import { type FollowContext, follow } from './follow.ts'
import type { Part } from './part.ts'
import { bodyFrom } from './part-body.ts'
import { fieldsOf } from './plan.ts'
import { isRangeError } from './range-error.ts'
import { type Piece, RangeSchedule } from './range-schedule.ts'
import type { Retries } from './retries.ts'
import type { RangeTarget } from './target.ts'

/** A response, and the part of the body that it brings. */
interface PartResponse {
  readonly response: Exchange
  readonly part: Part
}

/** Reason to end all connections' work before the body is complete. */
type Stop =
  | { readonly kind: 'changed'; readonly how: string }
  | { readonly kind: 'failed'; readonly error: unknown }

/** Parameters of a {@link RangeFetch}. */
export interface RangeJob {
  readonly context: FollowContext
  readonly url: URL
  readonly retries: Retries
  readonly target: RangeTarget
  readonly entity: Entity & { readonly length: number }
}

export class RangeFetch {
  readonly #job: RangeJob
  readonly #first: PartResponse
  readonly #schedule: RangeSchedule
  /** Responses whose bodies are being received. */
  readonly #active = new Set<Exchange>()
  #stop: Stop | undefined

  /** Begins with the response to the request for the first range. */
  constructor(job: RangeJob, first: PartResponse) {
    const { length } = job.entity
    this.#job = job
    this.#first = first
    this.#schedule = new RangeSchedule(
      length,
      first.part.end ?? length,
      job.context.settings.connections,
    )
  }

  /** Connections that carry the body at once. */
  get connections(): number {
    return this.#schedule.connections
  }

  /**
   * Receives the whole body, unless it changes.
   * @throws The first failure. After NETMEM_HTTP_RANGE the transfer can continue without ranges.
   */
  async run(): Promise<{ readonly kind: 'complete' } | { readonly kind: 'changed'; how: string }> {
    const work = [this.#work(this.#first)]
    while (work.length < this.connections) work.push(this.#work(undefined))
    await Promise.all(work)
    if (this.#stop?.kind === 'failed') throw this.#stop.error
    return this.#stop ?? { kind: 'complete' }
  }

  /** Does one connection's work: a piece after the other. Never rejects. */
  async #work(first: PartResponse | undefined): Promise<void> {
    let begun = first
    while (this.#stop === undefined) {
      const piece = this.#schedule.next()
      if (piece === undefined) return
      try {
        if ((await this.#fetch(piece, begun)) === 'retired') return
      } catch (error) {
        this.#fail(error)
      }
      begun = undefined
    }
  }

  #fail(error: unknown): void {
    // Errors after the stop are its consequences.
    if (this.#stop !== undefined) return
    this.#stop = { kind: 'failed', error }
    // The transfer may continue without ranges.
    if (isRangeError(error)) this.#endActive()
    else this.#job.context.abort.abort(error instanceof Error ? error : new Error(String(error)))
  }

  #endActive(): void {
    for (const response of this.#active) response.end()
  }

  /** Gets the missing bytes of a piece, in as many attempts as it takes. */
  async #fetch(piece: Piece, first: PartResponse | undefined): Promise<'done' | 'retired'> {
    let begun = first
    while (piece.from + piece.done < piece.to && this.#stop === undefined) {
      const failure = await this.#attempt(piece, begun)
      begun = undefined
      if (failure === undefined || this.#stop !== undefined) continue
      if (isBusy(failure) && this.#schedule.retire(piece)) return 'retired'
      await this.#job.retries.wait(failure)
    }
    return 'done'
  }

  /** Makes one request for the missing bytes of a piece, unless `begun` is its response. Throws NETMEM_HTTP_RANGE. */
  async #attempt(piece: Piece, begun: PartResponse | undefined): Promise<Failure | undefined> {
    const { context, url, retries, entity } = this.#job
    let response = begun?.response
    try {
      let part = begun?.part
      if (response === undefined || part === undefined) {
        const from = piece.from + piece.done
        const plan = { kind: 'piece', ranged: true, from, to: piece.to, entity } as const
        response = await follow(context, url, fieldsOf(plan))
        retries.reached()
        const meaning = classify(response, plan, context.settings.raw)
        if (meaning.kind === 'retry' || meaning.kind === 'fail') return meaning
        if (meaning.kind === 'unranged') throw meaning.error
        if (meaning.kind === 'changed') {
          this.#stop ??= meaning
          this.#endActive()
        }
        if (meaning.kind !== 'continue' || this.#stop !== undefined) return undefined
        part = meaning.part
      }
      this.#active.add(response)
      await this.#receive(response, part, piece)
      return undefined
    } catch (error) {
      if (this.#stop !== undefined) return undefined
      if (isRangeError(error)) throw error
      return retries.failureOf(error)
    } finally {
      if (response !== undefined) this.#active.delete(response)
      response?.end()
    }
  }

  async #receive(response: Exchange, part: Part, piece: Piece): Promise<void> {
    const { target, context } = this.#job
    const schedule = this.#schedule
    const before = piece.done
    const from = piece.from + before
    const to = Math.min(piece.to, part.end ?? piece.to)
    const body = bodyFrom(response, part, from, to)
    await target.receiveAt(body, from, to - from, (bytes) => {
      schedule.arrived(piece, before + bytes)
      target.reached(schedule.position)
      context.settings.onProgress?.(schedule.arrivedBytes)
    })
    if (piece.from + piece.done < to) throw endedEarly(piece.done, piece.to - piece.from)
    // Bytes behind the part contradict it. Of a chunked one the last chunk is read, too.
    await body.atEnd()
  }
}

/**
 * True if a server limits the connections of one client (nginx's `limit_conn` answers 503). The transfer
 * continues while it has another connection.
 */
function isBusy({ error }: Failure): boolean {
  const status = error instanceof HttpError ? error.status : undefined
  return status === 429 || status === 503
}
