/** One connection of `netmem recv`: received, checked, written, counted. */

import { createHash, type Hash } from 'node:crypto'

import type { HostFrag, PagePoolStats } from '../../index.ts'
import type { Connection } from '../../net/index.ts'
import { unlessAborted } from '../../net/interruption.ts'
import { formatEndpoint } from '../endpoint.ts'
import { CliError, type Described, describeError } from '../exit.ts'
import { type Pattern, Verifier } from '../pattern.ts'
import { roughRate, roughSize } from '../size.ts'
import type { Sink } from './sink.ts'

/** What is to be done with the bytes besides counting them. */
export interface Wishes {
  readonly sink: Sink | undefined
  readonly pattern: Pattern | undefined
  readonly sha256: boolean
  /** How many there have to be. */
  readonly bytes: number | undefined
}

/** How a transfer went. */
export interface TransferSummary {
  readonly peer: string
  readonly bytes: number
  /** From accepting the connection to its end. */
  readonly seconds: number
  readonly bytesPerSecond: number
  readonly ended: 'finished' | 'failed' | 'interrupted'
  /** What is wrong with it, if anything is: code and message. */
  readonly error: Described | undefined
  readonly verified: boolean | undefined
  readonly sha256: string | undefined
  /** The pool's counters by then; connections share them. */
  readonly pool: PagePoolStats
}

export class Transfer {
  readonly #connection: Connection
  readonly #wishes: Wishes
  readonly #verifier: Verifier | undefined
  readonly #hash: Hash | undefined
  readonly #began = performance.now()
  #bytes = 0

  constructor(connection: Connection, wishes: Wishes) {
    this.#connection = connection
    this.#wishes = wishes
    this.#verifier = wishes.pattern && new Verifier(wishes.pattern)
    this.#hash = wishes.sha256 ? createHash('sha256') : undefined
  }

  /** Bytes received so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Receives to the end. Never rejects; when it resolves, the connection is closed. */
  async finish(signal: AbortSignal): Promise<TransferSummary> {
    const connection = this.#connection
    let broken: unknown
    try {
      for await (const frag of connection) await this.#take(frag, signal)
      // The peer may take the end of this connection to mean that all is written.
      if (this.#objection() === undefined) await this.#wishes.sink?.commit()
    } catch (error) {
      broken = error
    }
    const seconds = (performance.now() - this.#began) / 1_000
    const pool = connection.pool.stats()
    if (broken === undefined) await connection.close().catch(() => undefined)
    else connection.destroy()
    const interrupted = broken !== undefined && signal.aborted
    const error = interrupted ? undefined : (broken ?? this.#objection())
    return {
      peer: formatEndpoint(connection.remoteAddress),
      bytes: this.#bytes,
      seconds,
      bytesPerSecond: this.#bytes / seconds,
      ended: broken === undefined ? 'finished' : interrupted ? 'interrupted' : 'failed',
      error: error === undefined ? undefined : describeError(error),
      verified: this.#verifier && this.#verifier.firstWrong === undefined,
      sha256: this.#hash?.digest('hex'),
      pool,
    }
  }

  async #take(frag: HostFrag, signal: AbortSignal): Promise<void> {
    try {
      const { bytes } = frag
      this.#bytes += bytes.byteLength
      this.#verifier?.check(bytes)
      this.#hash?.update(bytes)
      if (this.#wishes.sink !== undefined)
        // A write into a pipe that nobody reads may never end.
        await unlessAborted(this.#wishes.sink.write(bytes), signal)
    } finally {
      frag.release()
    }
  }

  /** What is wrong with a stream that ended properly. */
  #objection(): CliError | undefined {
    const wrong = this.#verifier?.firstWrong
    if (wrong !== undefined) {
      return new CliError('WRONG_DATA', `Byte ${wrong} is not that of the pattern.`)
    }
    const expected = this.#wishes.bytes
    if (expected === undefined || expected === this.#bytes) return undefined
    return new CliError('WRONG_LENGTH', `${this.#bytes} bytes came, not ${expected}.`)
  }
}

/** The lines for people. */
export function describeTransfer(summary: TransferSummary): string[] {
  const { alloc, recycle, out, copied } = summary.pool
  const recycled = recycle.cached + recycle.ring
  const lines = [
    [
      summary.peer,
      `${summary.bytes} bytes (${roughSize(summary.bytes)})`,
      `${summary.seconds.toFixed(3)} s`,
      roughRate(summary.bytes, summary.seconds),
      ...(summary.verified === true ? ['verified'] : []),
      summary.ended,
    ].join('  '),
    `  pool: ${alloc.fast + alloc.refill + alloc.slow} pages taken, ${recycled} recycled, ${out} out, ${alloc.empty} times empty; ${copied.frags} payloads copied`,
  ]
  if (summary.sha256 !== undefined) lines.push(`  sha256: ${summary.sha256}`)
  return lines
}
