/**
 * Several ranges of one body at once, for servers and paths that hold each connection to a rate.
 * `range-schedule.ts` says which bytes are next, and this fetches them.
 */

import { endedEarly } from '../client/body.ts'
import type { Exchange } from '../client/exchange.ts'
import { HttpError } from '../http-error.ts'
import { classify, type Failure, type Outcome } from './classify.ts'
import type { Entity } from './entity.ts'
import { type FollowContext, follow } from './follow.ts'
import type { Part } from './part.ts'
import { bodyFrom } from './part-body.ts'
import { fieldsOf } from './plan.ts'
import { isComplete, type Piece, RangeSchedule } from './range-schedule.ts'
import type { Retries } from './retries.ts'
import type { Target } from './target.ts'

/** Parameters of a {@link RangeFetch}. */
export interface RangeJob {
  readonly context: FollowContext
  readonly url: URL
  readonly retries: Retries
  readonly target: Target
  readonly entity: Entity & { readonly length: number }
  /** Notes that all bytes before `position` have arrived, and `bytes` in all. */
  readonly arrived: (position: number, bytes: number) => void
}

export class RangeFetch {
  readonly #job: RangeJob
  readonly #schedule: RangeSchedule
  /** Responses whose bodies are being received. */
  readonly #active = new Set<Exchange>()
  /** Outcome that ends all connections' work before the body is complete. */
  #stop: Outcome | undefined

  /** @param firstEnd The first byte behind the range that the first response brings. */
  constructor(job: RangeJob, firstEnd: number) {
    const { connections } = job.context.settings
    this.#job = job
    this.#schedule = new RangeSchedule(job.entity.length, firstEnd, connections)
  }

  /** Connections that carry the body at once. */
  get connections(): number {
    return this.#schedule.connections
  }

  /** Receives the whole body, unless it changes. `first` is the response to the first range's request. */
  async run(first: Exchange): Promise<Outcome> {
    const work = [this.#work(first)]
    while (work.length < this.connections) work.push(this.#work(undefined))
    await Promise.all(work)
    return this.#stop ?? { kind: 'complete' }
  }

  /** Does one connection's work: a piece after the other. Never rejects. */
  async #work(first: Exchange | undefined): Promise<void> {
    let begun = first
    let piece = this.#schedule.next()
    while (piece !== undefined && this.#stop === undefined) {
      const outcome = await this.#attempt(piece, begun)
      begun = undefined
      if (outcome.kind === 'more') {
        if (isComplete(piece)) piece = this.#schedule.next()
      } else if (outcome.kind === 'retry') {
        if (isBusy(outcome) && this.#schedule.retire(piece)) return
        await this.#wait(outcome)
      } else {
        this.#end(outcome)
      }
    }
  }

  async #wait(failure: Failure): Promise<void> {
    if (this.#stop !== undefined) return
    try {
      await this.#job.retries.wait(failure)
    } catch (error) {
      this.#end({ kind: 'fail', error })
    }
  }

  #end(stop: Outcome): void {
    // Outcomes after the stop are its consequences.
    if (this.#stop !== undefined) return
    this.#stop = stop
    if (stop.kind === 'fail') {
      const { error } = stop
      this.#job.context.abort.abort(error instanceof Error ? error : new Error(String(error)))
    } else {
      // The transfer may continue.
      for (const response of this.#active) response.end()
    }
  }

  /** Makes one request for the missing bytes of a piece, unless `begun` is its response. */
  #attempt(piece: Piece, begun: Exchange | undefined): Promise<Outcome> {
    const { context, url, retries, entity } = this.#job
    const from = piece.from + piece.done
    const plan = { kind: 'piece', ranged: true, from, to: piece.to, entity } as const
    const request =
      begun === undefined ? follow(context, url, fieldsOf(plan)) : Promise.resolve(begun)
    return retries.attempt(request, plan.ranged, (response) => {
      const meaning = classify(response, plan, context.settings.raw)
      return meaning.kind === 'continue' ? this.#receive(response, meaning.part, piece) : meaning
    })
  }

  async #receive(response: Exchange, part: Part, piece: Piece): Promise<Outcome> {
    if (this.#stop !== undefined) return this.#stop
    const { target, arrived } = this.#job
    const schedule = this.#schedule
    const from = piece.from + piece.done
    const to = Math.min(piece.to, part.end ?? piece.to)
    this.#active.add(response)
    try {
      const body = await bodyFrom(response, part, from, to)
      await target.receive(body, from, (position) => {
        schedule.arrived(piece, position - piece.from)
        arrived(schedule.position, schedule.arrivedBytes)
      })
    } finally {
      this.#active.delete(response)
    }
    if (piece.from + piece.done < to) throw endedEarly(piece.done, piece.to - piece.from)
    return { kind: 'more' }
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
