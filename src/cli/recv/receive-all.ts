/** Receives from connections for `netmem recv` and `netmem devmem recv`: checked, written, counted. */

import { createHash } from 'node:crypto'

import type { ReadableFrag } from '../../index.ts'
import type { DevmemStats } from '../../linux/index.ts'
import type { Connection, Listener } from '../../net/index.ts'
import { unlessAborted } from '../../net/interruption.ts'
import { formatEndpoint } from '../endpoint.ts'
import { CliError, type Described, describeError } from '../exit.ts'
import type { Output } from '../output.ts'
import { Pattern, type PatternName, Verifier } from '../pattern.ts'
import { roughRate, roughSize } from '../size.ts'
import type { Sink } from './sink.ts'

/** Options of the command line about the connections, and the bytes that each brings. */
export interface ReceiveFlags {
  /** Ends after the first connection. */
  readonly once?: true
  readonly pattern?: PatternName
  /** Number of bytes a connection has to bring. */
  readonly bytes?: number
  readonly sha256?: true
}

/** A command that receives, under its name in lines of JSON. */
interface Receiving {
  readonly command: string
  readonly output: Output
  readonly signal: AbortSignal
  readonly sink?: Sink | undefined
}

/** Bytes that arrived, wherever they lie. */
export type ReceivedBytes = Pick<ReadableFrag, 'bytes' | 'release'>

/** A connection to receive from. Devmem connections also have counters. */
export interface ReceptionSource
  extends Pick<Connection, 'remoteAddress' | 'close' | 'destroy'>,
    AsyncIterable<ReceivedBytes> {
  readonly pool: Pick<Connection['pool'], 'stats'>
  readonly devmem?: () => DevmemStats
}

/** The end of all connections. */
interface ReceivedAll {
  /** The fields of the last JSON line. */
  readonly report: object
  /** The error of the last connection that failed. */
  readonly failure: Described | undefined
}

/**
 * Receives from the connections of `listener`, and reports each as it ends. Closes the listener, and
 * resolves when all have ended.
 *
 * @param sourceOf returns what the bytes of a connection are read from.
 */
export async function receiveAll<C>(
  listener: AsyncIterable<C> & Pick<Listener, 'close'>,
  sourceOf: (connection: C) => ReceptionSource,
  flags: ReceiveFlags,
  { command, output, signal, sink }: Receiving,
): Promise<ReceivedAll> {
  const pattern = flags.pattern === undefined ? undefined : new Pattern(flags.pattern)
  const running = new Set<Promise<void>>()
  let connections = 0
  let bytes = 0
  let failed = 0
  let failure: Described | undefined
  const receive = async (connection: C): Promise<void> => {
    const checks = { ...flags, pattern, sink }
    const summary = await receiveFrom(sourceOf(connection), checks, signal, (arrived) => {
      bytes += arrived
    })
    output.report({ command, event: 'transfer', ...summary })
    for (const line of describe(summary)) output.result(line)
    if (summary.error === undefined) return
    failed++
    failure = summary.error
    output.complain(failure)
  }
  const stop = output.progress({
    label: 'received',
    totalBytes: flags.bytes,
    bytes: () => bytes,
  })
  for await (const connection of listener) {
    connections++
    const reception = receive(connection).finally(() => running.delete(reception))
    running.add(reception)
    if (flags.once === true) break
  }
  await listener.close()
  await Promise.all(running)
  stop()
  if (connections === 0) output.note('netmem: stopped before any connection came')
  return { report: { connections, failed, bytes }, failure }
}

/** Work on the bytes of a connection, besides counting them. */
interface ReceptionChecks extends Pick<ReceiveFlags, 'bytes' | 'sha256'> {
  readonly pattern: Pattern | undefined
  readonly sink: Sink | undefined
}

/**
 * Receives to the end. Never rejects. When it resolves, the connection is closed.
 *
 * @param onBytes called with the length of each part that arrives.
 */
async function receiveFrom(
  connection: ReceptionSource,
  { sink, pattern, sha256, bytes: expected }: ReceptionChecks,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
) {
  const verifier = pattern && new Verifier(pattern)
  const hash = sha256 === true ? createHash('sha256') : undefined
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
    // Time from accepting the connection to its end.
    seconds,
    bytesPerSecond: bytes / seconds,
    ended: broken === undefined ? 'finished' : interrupted ? 'interrupted' : 'failed',
    error: error === undefined ? undefined : describeError(error),
    verified: verifier && verifier.firstWrong === undefined,
    sha256: hash?.digest('hex'),
    // The pool's counters at that moment. Connections share them.
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
function describe(summary: Awaited<ReturnType<typeof receiveFrom>>): string[] {
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
  const { device_bytes, linear_bytes, device_frags, tokens_returned, return_calls } = devmem
  return `  device memory: ${device_bytes} bytes in ${device_frags} frags, ${linear_bytes} bytes in pages; ${tokens_returned} tokens returned by ${return_calls} calls`
}
