/** Connects for `netmem send`, and sends the source. */

import { connect } from '../../net/connect.ts'
import { createPool } from '../../pool/create-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import { parseEndpoint } from '../endpoint.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { sendSource } from './send-source.ts'
import { type SourceFlags, sourceOf } from './source.ts'

/** A small pool, for replies that are discarded. */
const POOL = { pages: 2, pageSize: 16 * 1024 }

export async function send(
  output: Output,
  signal: AbortSignal,
  where: string,
  file: string | undefined,
  options: SourceFlags,
): Promise<CommandOutcome> {
  const { host, port } = parseEndpoint(where)
  await using source = await sourceOf(file, options)
  const pool = createPool(hostProvider(POOL))
  const connection = await connect({ pool, host, port, signal })
  let bytes = 0
  const send = async (): Promise<void> => {
    for await (const view of source.views) {
      await connection.write(view)
      bytes += view.byteLength
    }
  }
  const sent = await sendSource({ connection, source, send, bytes: () => bytes }, output, signal)
  await pool.destroy()
  return sent
}
