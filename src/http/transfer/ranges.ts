/**
 * Several ranges of one body at once, for servers and paths that hold each connection to a rate.
 * The body is cut into pieces; whoever has finished one takes the next, so that a slow connection
 * keeps nobody waiting. The first piece is asked for before anything is known, and its answer says
 * whether there is more to be had this way.
 */

import { endedEarly } from '../client/body.ts'
import type { Context, Exchange } from '../client/exchange.ts'
import { HttpError } from '../http-error.ts'
import { unsatisfiedLength } from './content-range.ts'
import { type Entity, isOtherEntity } from './entity.ts'
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
import { type Retries, statusError } from './retry.ts'
import type { Settings } from './settings.ts'
import type { RangeTarget, Target } from './target.ts'

/** Smaller ones would cost more in round trips than they gain. */
const LEAST_BYTES = 1024 * 1024
const MOST_BYTES = 64 * 1024 * 1024
/** Pieces for each connection, so that they end at about the same time. */
const PIECES_EACH = 4
/** Most bytes in front of a piece that are received for nothing: caches answer from the start of a block. */
const MOST_DROPPED_BYTES = LEAST_BYTES

/** A range under way. */
interface Piece {
  readonly from: number
  readonly to: number
  done: number
}

/** What fetching a range takes. */
export interface RangeContext {
  readonly context: Context
  readonly url: URL
  readonly retries: Retries
}

export class Ranges {
  /** Connections it went over at once. */
  connections = 1
  /** The last byte of the first piece. */
  readonly firstLast: number = LEAST_BYTES - 1
  readonly #target: RangeTarget
  readonly #settings: Settings
  #pieces: Piece[] = []
  #nextPiece = 0
  /** Pieces that somebody has begun, and given up. */
  readonly #givenBack: Piece[] = []
  /** Connections that are at work. */
  #working = 0
  #changed = false
  readonly #active = new Set<Exchange>()
  /** Stops all others when one of them has failed. */
  #failure: { readonly error: unknown } | undefined

  private constructor(target: RangeTarget, settings: Settings) {
    this.#target = target
    this.#settings = settings
  }

  /** The way to begin: `undefined` where one connection is all that is wanted, or can be had. */
  static first(target: Target, settings: Settings): Ranges | undefined {
    if (settings.connections === 1) return undefined
    if (!(target instanceof MemoryTarget || target instanceof FileTarget)) return undefined
    return target.seekable ? new Ranges(target, settings) : undefined
  }

  get fields(): RangeFields {
    return { range: `bytes=0-${this.firstLast}`, ifRange: undefined }
  }

  /**
   * Receives all of the body; true when it has changed meanwhile, and has to be begun anew. Rejects
   * with NETMEM_HTTP_RANGE, and leaves the transfer able to go on, where ranges are not to be had.
   */
  async receive(
    range: RangeContext,
    first: Answer,
    entity: Entity & { readonly length: number },
  ): Promise<boolean> {
    this.#cut(entity.length, first.part)
    const others = Math.min(this.#settings.connections, this.#pieces.length) - 1
    this.connections = 1 + others
    const workers = [this.#work(range, entity, first)]
    for (let i = 0; i < others; i++) workers.push(this.#work(range, entity, undefined))
    await Promise.all(workers)
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#changed
  }

  #cut(length: number, { end = length }: Part): void {
    const { connections } = this.#settings
    const ideal = Math.ceil(length / (connections * PIECES_EACH))
    const bytes = Math.max(LEAST_BYTES, Math.min(MOST_BYTES, ideal))
    this.#pieces = [{ from: 0, to: end, done: 0 }]
    for (let from = end; from < length; from += bytes) {
      this.#pieces.push({ from, to: Math.min(length, from + bytes), done: 0 })
    }
  }

  /** One connection's work: a piece after the other. Never rejects. */
  async #work(range: RangeContext, entity: Entity, first: Answer | undefined): Promise<void> {
    let begun = first
    this.#working++
    while (!this.#stopped) {
      const piece = this.#givenBack.pop() ?? this.#pieces[this.#nextPiece++]
      if (piece === undefined) {
        this.#working--
        return
      }
      try {
        if (!(await this.#fetch(range, entity, piece, begun))) return
      } catch (error) {
        this.#fail(error, range.context)
      }
      begun = undefined
    }
  }

  #fail(error: unknown, { abortion }: Context): void {
    // What it broke off itself is no failure.
    if (this.#stopped) return
    this.#failure = { error }
    // The transfer may go on without ranges.
    if (isRangeError(error)) this.#endActive()
    else abortion.abort(error instanceof Error ? error : new Error(String(error)))
  }

  get #stopped(): boolean {
    return this.#failure !== undefined || this.#changed
  }

  #endActive(): void {
    for (const response of this.#active) response.end()
  }

  /** Gets what a piece lacks; false when that is left to the other connections. */
  async #fetch(
    range: RangeContext,
    entity: Entity,
    piece: Piece,
    begun: Answer | undefined,
  ): Promise<boolean> {
    let next = begun
    while (piece.from + piece.done < piece.to && !this.#stopped) {
      let answer = next
      next = undefined
      try {
        answer ??= await this.#ask(range, entity, piece)
        if (answer === undefined || this.#stopped) break
        this.#active.add(answer.response)
        await this.#receive(answer, piece)
      } catch (error) {
        if (this.#stopped) break
        if (isRangeError(error)) throw error
        if (this.#retires(error, piece)) return false
        await range.retries.wait(error)
      } finally {
        if (answer !== undefined) this.#active.delete(answer.response)
        answer?.response.end()
      }
    }
    return true
  }

  /**
   * A server may take fewer connections of one client than it is asked for (nginx's `limit_conn`
   * answers 503), which is no reason to fail as long as there is another one.
   */
  #retires(error: unknown, piece: Piece): boolean {
    const status = error instanceof HttpError ? error.status : undefined
    if ((status !== 429 && status !== 503) || this.#working === 1) return false
    this.#working--
    this.connections--
    this.#givenBack.push(piece)
    return true
  }

  /** Asks for what a piece lacks; `undefined` when the body has changed. */
  async #ask(
    { context, url, retries }: RangeContext,
    entity: Entity,
    piece: Piece,
  ): Promise<Answer | undefined> {
    const from = piece.from + piece.done
    const response = await follow(context, url, {
      range: `bytes=${from}-${piece.to - 1}`,
      ifRange: entity.validator,
    })
    try {
      retries.reached()
      const part = this.#partOf(response, entity, from, piece.to)
      if (part !== undefined) return { response, part }
      this.#changed = true
      this.#endActive()
    } catch (error) {
      response.end()
      throw error
    }
    response.end()
    return undefined
  }

  /** The part that an answer to a request for bytes from `from` on brings; `undefined` when the body has changed. */
  #partOf(response: Exchange, entity: Entity, from: number, to: number): Part | undefined {
    const { head, url } = response
    if (head.status === 416) {
      const said = head.headers.single('content-range')
      if ((unsatisfiedLength(said) ?? entity.length) !== entity.length) return undefined
      throw refused(url, from, said)
    }
    if (head.status >= 300) throw statusError(url, head)
    if (isOtherEntity(head, entity)) return undefined
    if (head.status !== 206) throw rangeError(url, 'sent the whole body, after a range of it')
    const part = partOf(response, this.#settings)
    checkJoins(url, part, from, entity.length, to)
    if (from - part.first > MOST_DROPPED_BYTES) {
      throw rangeError(
        url,
        `sent bytes from ${part.first} on where those from ${from} on were asked for`,
      )
    }
    return part
  }

  async #receive({ response, part }: Answer, piece: Piece): Promise<void> {
    const before = piece.done
    const from = piece.from + before
    const to = Math.min(piece.to, part.end ?? piece.to)
    const body = bodyFrom(response, part, from, to)
    await this.#target.receiveAt(body, from, to - from, (bytes) => {
      piece.done = before + bytes
      this.#advance()
    })
    if (piece.from + piece.done < to) throw endedEarly(piece.done, piece.to - piece.from)
    // What comes behind the part contradicts it, and the last chunk ends a chunked one.
    await body.atEnd()
  }

  /** Tells how far the body is complete from its start, and how much of it there is. */
  #advance(): void {
    let total = 0
    let reached = 0
    let whole = true
    for (const piece of this.#pieces) {
      total += piece.done
      if (whole) reached = piece.from + piece.done
      whole &&= piece.from + piece.done === piece.to
    }
    this.#target.reached(reached)
    this.#settings.onProgress?.(total)
  }
}
