/** One connection of `netmem recv`: received, checked, written, counted. */

import { createHash } from 'node:crypto'

import type { PagePoolStats, ReadableFrag } from '../../index.ts'
import type { DevmemStats } from '../../linux/index.ts'
import type { Connection } from '../../net/index.ts'
import { unlessAborted } from '../../net/interruption.ts'
import { formatEndpoint } from '../endpoint.ts'
import { CliError, type Described, describeError } from '../exit.ts'
import { type Pattern, Verifier } from '../pattern.ts'
import { roughRate, roughSize } from '../size.ts'
import type { Sink } from './sink.ts'

/** Bytes that arrived, wherever they lie. */
export type ReceivedBytes = Pick<ReadableFrag, 'bytes' | 'release'>

/** A connection to receive from. Devmem connections also have counters. */
export interface ReceptionSource
  extends Pick<Connection, 'remoteAddress' | 'close' | 'destroy'>,
    AsyncIterable<ReceivedBytes> {
  readonly pool: Pick<Connection['pool'], 'stats'>
  readonly devmem?: () => DevmemStats
}

/** Work on the bytes of each connection, besides counting them. */
export interface ReceptionOptions {
  readonly sink: Sink | undefined
  readonly pattern: Pattern | undefined
  readonly sha256: boolean
  /** Number of bytes a connection has to bring. */
  readonly bytes: number | undefined
}

/** The result of one connection. */
export interface ReceptionSummary {
  readonly peer: string
  readonly bytes: number
  /** Seconds from accepting the connection to its end. */
  readonly seconds: number
  readonly bytesPerSecond: number
  readonly ended: 'finished' | 'failed' | 'interrupted'
  /** Code and message of the failure, or undefined after a good end. */
  readonly error: Described | undefined
  readonly verified: boolean | undefined
  readonly sha256: string | undefined
  /** The pool's counters at that moment. Connections share them. */
  readonly pool: PagePoolStats
  /** Counters of a devmem connection. */
  readonly devmem: DevmemStats | undefined
}

/**
 * Receives to the end. Never rejects. When it resolves, the connection is closed.
 *
 * @param onBytes called with the length of each part that arrives.
 */
export async function receiveFrom(
  connection: ReceptionSource,
  { sink, pattern, sha256, bytes: expected }: ReceptionOptions,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<ReceptionSummary> {
  const verifier = pattern && new Verifier(pattern)
  const hash = sha256 ? createHash('sha256') : undefined
  const began = performance.now()
  let bytes = 0
  let broken: unknown
  let objection: CliError | undefined
  try {
    for await (const frag of connection) {
      try {
        bytes += frag.bytes.byteLength
        onBytes(frag.bytes.byteLength)
        verifier?.check(frag.bytes)
        hash?.update(frag.bytes)
        // A write into a pipe without a reader may never end.
        if (sink !== undefined) await unlessAborted(sink.write(frag.bytes), signal)
      } finally {
        frag.release()
      }
    }
    objection = objectionTo(bytes, expected, verifier)
    // The peer may take the end of this connection to mean that all is written.
    if (objection === undefined) await sink?.commit()
  } catch (error) {
    broken = error
  }
  const seconds = (performance.now() - began) / 1_000
  const pool = connection.pool.stats()
  const devmem = connection.devmem?.()
  const interrupted = broken !== undefined && signal.aborted
  const error = interrupted ? undefined : (broken ?? objection)
  // The sender must not take the end of a transfer that failed for a good one.
  if (broken === undefined && error === undefined) await connection.close().catch(() => undefined)
  else connection.destroy(broken instanceof Error ? broken : new Error(String(error)))
  return {
    peer: formatEndpoint(connection.remoteAddress),
    bytes,
    seconds,
    bytesPerSecond: bytes / seconds,
    ended: broken === undefined ? 'finished' : interrupted ? 'interrupted' : 'failed',
    error: error === undefined ? undefined : describeError(error),
    verified: verifier && verifier.firstWrong === undefined,
    sha256: hash?.digest('hex'),
    pool,
    devmem,
  }
}

/** Returns the failed check of a stream that ended properly. */
function objectionTo(
  bytes: number,
  expected: number | undefined,
  verifier: Verifier | undefined,
): CliError | undefined {
  const wrong = verifier?.firstWrong
  if (wrong !== undefined) {
    return new CliError('WRONG_DATA', `Byte ${wrong} is not that of the pattern.`)
  }
  if (expected === undefined || expected === bytes) return undefined
  return new CliError('WRONG_LENGTH', `${bytes} bytes came, not ${expected}.`)
}

/** Returns the lines for people. */
export function describeReception(summary: ReceptionSummary): string[] {
  const { alloc, recycle, out, copied } = summary.pool
  const recycled = recycle.cached + recycle.ring
  return [
    [
      summary.peer,
      `${summary.bytes} bytes (${roughSize(summary.bytes)})`,
      `${summary.seconds.toFixed(3)} s`,
      roughRate(summary.bytes, summary.seconds),
      ...(summary.verified === true ? ['verified'] : []),
      summary.ended,
    ].join('  '),
    ...(summary.devmem === undefined ? [] : [describeDevmem(summary.devmem)]),
    `  pool: ${alloc.fast + alloc.refill + alloc.slow} pages taken, ${recycled} recycled, ${out} out, ${alloc.empty} times empty; ${copied.frags} payloads copied`,
    ...(summary.sha256 === undefined ? [] : [`  sha256: ${summary.sha256}`]),
  ]
}

function describeDevmem(devmem: DevmemStats): string {
  const { deviceBytes, linearBytes, deviceFrags, tokensReturned, returnCalls } = devmem
  return `  device memory: ${deviceBytes} bytes in ${deviceFrags} frags, ${linearBytes} bytes in pages; ${tokensReturned} tokens returned by ${returnCalls} calls`
}
