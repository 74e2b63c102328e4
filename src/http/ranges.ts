/**
 * Several ranges of one body at once, for servers and paths that hold each connection to a rate.
 * The body is cut into pieces; whoever has finished one takes the next, so that a slow connection
 * keeps nobody waiting. The first piece is asked for before anything is known, and its answer says
 * whether there is more to be had this way.
 */

import { endedEarly } from './body.ts'
import { type Entity, isSameEntity } from './entity.ts'
import type { Context, Exchange } from './exchange.ts'
import { FileTarget } from './file-target.ts'
import { follow, type RangeFields } from './follow.ts'
import { checkIdentity } from './framing.ts'
import { HttpError } from './http-error.ts'
import { MemoryTarget } from './memory-target.ts'
import { checkRange, rangeError } from './range-check.ts'
import { type Retries, statusError } from './retry.ts'
import type { Settings } from './settings.ts'
import type { RangeTarget, Target } from './target.ts'

/** Smaller ones would cost more in round trips than they gain. */
const LEAST_BYTES = 1024 * 1024
const MOST_BYTES = 64 * 1024 * 1024
/** Pieces for each connection, so that they end at about the same time. */
const PIECES_EACH = 4

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

const givenUp = new WeakSet<Target>()

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
    if (settings.connections === 1 || givenUp.has(target)) return undefined
    if (!(target instanceof MemoryTarget || target instanceof FileTarget)) return undefined
    return target.seekable ? new Ranges(target, settings) : undefined
  }

  /** The server has none that could be used for this target. */
  static giveUp(target: Target): void {
    givenUp.add(target)
  }

  get fields(): RangeFields {
    return { range: `bytes=0-${this.firstLast}`, ifRange: undefined }
  }

  /** Receives all of the body; true when it has changed meanwhile, and has to be begun anew. */
  async receive(
    range: RangeContext,
    first: Exchange,
    entity: Entity & { readonly length: number },
  ): Promise<boolean> {
    this.#cut(entity.length)
    const others = Math.min(this.#settings.connections, this.#pieces.length) - 1
    this.connections = 1 + others
    const workers = [this.#work(range, entity, first)]
    for (let i = 0; i < others; i++) workers.push(this.#work(range, entity, undefined))
    await Promise.all(workers)
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#changed
  }

  #cut(length: number): void {
    const { connections } = this.#settings
    const ideal = Math.ceil(length / (connections * PIECES_EACH))
    const bytes = Math.max(LEAST_BYTES, Math.min(MOST_BYTES, ideal))
    const first = Math.min(length, this.firstLast + 1)
    this.#pieces = [{ from: 0, to: first, done: 0 }]
    for (let from = first; from < length; from += bytes) {
      this.#pieces.push({ from, to: Math.min(length, from + bytes), done: 0 })
    }
  }

  /** One connection's work: a piece after the other. Never rejects. */
  async #work(range: RangeContext, entity: Entity, first: Exchange | undefined): Promise<void> {
    let begun = first
    this.#working++
    while (this.#failure === undefined && !this.#changed) {
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
    if (this.#failure !== undefined || this.#changed) return
    this.#failure = { error }
    abortion.abort(error instanceof Error ? error : new Error(String(error)))
  }

  #stopAll(): void {
    this.#changed = true
    for (const response of this.#active) response.end()
  }

  /** Gets what a piece lacks; false when that is left to the other connections. */
  async #fetch(
    range: RangeContext,
    entity: Entity,
    piece: Piece,
    begun: Exchange | undefined,
  ): Promise<boolean> {
    let next = begun
    while (piece.from + piece.done < piece.to && this.#failure === undefined && !this.#changed) {
      let response = next
      next = undefined
      try {
        response ??= await this.#ask(range, entity, piece)
        if (response === undefined) break
        this.#active.add(response)
        await this.#receive(response, piece)
      } catch (error) {
        if (this.#changed) break
        if (this.#retires(error, piece)) return false
        await range.retries.wait(error)
      } finally {
        if (response !== undefined) this.#active.delete(response)
        response?.end()
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
  ): Promise<Exchange | undefined> {
    const from = piece.from + piece.done
    const response = await follow(context, url, {
      range: `bytes=${from}-${piece.to - 1}`,
      ifRange: entity.validator,
    })
    try {
      retries.reached()
      const { head } = response
      const is206 = head.status === 206
      if (head.status === 416 || (head.status < 300 && !(is206 && isSameEntity(head, entity)))) {
        if (is206 || head.status === 416 || !isSameEntity(head, entity)) this.#stopAll()
        else throw rangeError(response.url, 'the whole body, after it had sent a range of it')
        response.end()
        return undefined
      }
      if (!is206) throw statusError(response.url, head)
      checkIdentity(head)
      checkRange(response, from, piece.to - 1, entity.length)
      return response
    } catch (error) {
      response.end()
      throw error
    }
  }

  async #receive({ body }: Exchange, piece: Piece): Promise<void> {
    const before = piece.done
    const length = piece.to - piece.from - before
    await this.#target.receiveAt(body, piece.from + before, length, (bytes) => {
      piece.done = before + bytes
      this.#advance()
    })
    if (piece.from + piece.done < piece.to) throw endedEarly(piece.done, piece.to - piece.from)
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
