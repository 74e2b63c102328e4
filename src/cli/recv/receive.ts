/** Listens for `netmem recv`, and takes what each connection brings. */

import { listen } from '../../net/listen.ts'
import { formatEndpoint } from '../endpoint.ts'
import { usage } from '../exit.ts'
import { describePool, makePool } from '../make-pool.ts'
import type { ListenFlags } from '../options.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import { type ReceiveFlags, receiveAll } from './receive-all.ts'
import { checkOut, Sink } from './sink.ts'

interface RecvFlags extends ListenFlags, ReceiveFlags {
  readonly out?: string
}

export async function receive(
  output: Output,
  signal: AbortSignal,
  options: RecvFlags,
): Promise<CommandOutcome> {
  if (options.out !== undefined && options.once !== true) {
    throw usage('--out takes one connection, since there is one destination: add --once.')
  }
  if (options.out !== undefined) await checkOut(options.out)
  const pool = await makePool(options)
  await using listener = await listen({
    pool,
    host: options.host,
    port: options.port,
    signal,
    ...(await wakeBatchingIfAny()),
  })
  await using sink = options.out === undefined ? undefined : await Sink.open(options.out)
  output.note(
    `netmem: listening on ${formatEndpoint(listener.address)}, ${describePool(pool, options)}`,
  )

  const { report, failure } = await receiveAll(listener, (connection) => connection, options, {
    command: 'recv',
    ...{ output, signal, sink },
  })
  const stats = pool.stats()
  // A write that a signal interrupted may hold its page until the process ends.
  if (!signal.aborted) await pool.destroy()
  return { report: { ...report, pool: stats }, failure }
}
