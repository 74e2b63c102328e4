/** Sends a source over a connection, and reports it, for `netmem send` and `netmem devmem send`. */

import type { DevmemConnection } from '../../linux/index.ts'
import type { Connection } from '../../net/index.ts'
import { formatEndpoint } from '../endpoint.ts'
import { CliError, type Described, describeError } from '../exit.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { roughRate, roughSize } from '../size.ts'
import type { SendSource } from './source.ts'

/** A source on its way to a peer. */
export interface Sending {
  readonly connection: Connection | DevmemConnection
  readonly source: SendSource
  /** Sends all of the source. */
  readonly send: () => Promise<void>
  /** Returns the number of bytes sent so far. */
  readonly bytes: () => number
}

/** Sends a source, and waits until the peer has closed its side. Stops soon after `signal` aborts. */
export async function sendSource(
  { connection, source, send, bytes: sentBytes }: Sending,
  output: Output,
  signal: AbortSignal,
): Promise<CommandOutcome> {
  const began = performance.now()
  const { totalBytes } = source
  const stop = output.progress({ label: 'sent', totalBytes, bytes: sentBytes })
  let error: unknown
  try {
    // Replies are discarded. Left unread, they could block the peer.
    const peerDone = discard(connection)
    peerDone.catch(() => source.stop())
    await send()
    checkComplete(source, sentBytes())
    await connection.end()
    await peerDone
    await connection.close()
  } catch (cause) {
    // A connection that broke also stops the source: report the connection's error.
    const { state } = connection
    error = state.kind === 'failed' ? state.error : cause
    // Sends a reset if there is an error, so that the receiver does not take it for the end.
    connection.destroy(error instanceof Error ? error : new Error(String(error)))
  }
  stop()
  source.stop()

  const bytes = sentBytes()
  const seconds = (performance.now() - began) / 1_000
  const failure = error === undefined || signal.aborted ? undefined : describeFailure(error)
  const ended = error === undefined ? 'finished' : signal.aborted ? 'interrupted' : 'failed'
  const peer = formatEndpoint(connection.remoteAddress)
  output.result(
    `${peer}  ${bytes} bytes (${roughSize(bytes)})  ${seconds.toFixed(3)} s  ${roughRate(bytes, seconds)}  ${ended}`,
  )
  if (failure !== undefined) output.complain(failure)
  return { report: { peer, bytes, seconds, bytesPerSecond: bytes / seconds, ended }, failure }
}

/** Throws WRONG_LENGTH if the source had fewer bytes than announced, as a file that shrinks. */
function checkComplete({ totalBytes }: SendSource, bytes: number): void {
  if (totalBytes === undefined || bytes >= totalBytes) return
  throw new CliError(
    'WRONG_LENGTH',
    `The source ended after ${bytes} of ${totalBytes} bytes: it became shorter. Send it again when no program writes to it.`,
  )
}

/** Describes an error for a sender. The library's remedy for a reset is meant for receivers. */
function describeFailure(error: unknown): Described {
  const described = describeError(error)
  if (described.code !== 'NETMEM_CONNECTION_RESET') return described
  const message =
    'The receiver broke off, and may lack some of what was sent: look there for the reason, and send again.'
  return { ...described, message }
}

async function discard(connection: Sending['connection']): Promise<void> {
  for await (const frag of connection) frag.release()
}
