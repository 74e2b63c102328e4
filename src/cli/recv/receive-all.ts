/** Receives from the connections of one command, and reports each as it ends. */

import type { Listener } from '../../net/index.ts'
import type { Described } from '../exit.ts'
import type { Output } from '../output.ts'
import { describeReception, type ReceptionSummary } from './reception.ts'

/** The command, as its options and its output go. */
interface ReceiveContext {
  /** Name in lines of JSON. */
  readonly command: string
  readonly output: Output
  /** Receives from the first connection only. */
  readonly once?: true
  /** Bytes that are expected, for the progress. */
  readonly bytes?: number
}

/** The end of all connections. */
interface ReceivedAll {
  /** The fields of the last JSON line. */
  readonly report: object
  /** The error of the last connection that failed. */
  readonly failure: Described | undefined
}

/**
 * Receives from the connections of `listener`. Closes the listener, and resolves when all receptions
 * have ended.
 *
 * @param receive receives from one connection, and tells each part that arrives.
 */
export async function receiveAll<C>(
  listener: AsyncIterable<C> & Pick<Listener, 'close'>,
  receive: (connection: C, onBytes: (bytes: number) => void) => Promise<ReceptionSummary>,
  { command, output, once, bytes: totalBytes }: ReceiveContext,
): Promise<ReceivedAll> {
  const running = new Set<Promise<void>>()
  let connections = 0
  let bytes = 0
  let failed = 0
  let failure: Described | undefined
  const stop = output.progress({ label: 'received', totalBytes, bytes: () => bytes })
  const ended = (summary: ReceptionSummary): void => {
    output.report({ command, event: 'transfer', ...summary })
    for (const line of describeReception(summary)) output.result(line)
    if (summary.error === undefined) return
    failed++
    failure = summary.error
    output.complain(failure)
  }
  for await (const connection of listener) {
    connections++
    const reception = receive(connection, (arrived) => {
      bytes += arrived
    }).then((summary) => {
      running.delete(reception)
      ended(summary)
    })
    running.add(reception)
    if (once === true) break
  }
  await listener.close()
  await Promise.all(running)
  stop()
  if (connections === 0) output.note('netmem: stopped before any connection came')
  return { report: { connections, failed, bytes }, failure }
}
