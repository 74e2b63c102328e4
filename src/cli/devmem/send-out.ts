/** Fills memory with the source of `netmem devmem send`, piece by piece, and sends it. */

import { bindTx, type DevmemBinding } from '../../linux/devmem/bind.ts'
import { connectDevmem } from '../../linux/devmem/socket/connect-devmem.ts'
import type { DevmemConnection } from '../../linux/devmem/socket/devmem-connection.ts'
import { createPool } from '../../pool/create-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import { parseEndpoint } from '../endpoint.ts'
import { usage } from '../exit.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { sendSource } from '../send/send-source.ts'
import { checkSource, type SendSource, type SourceFlags, sourceOf } from '../send/source.ts'
import { ifindexOf } from './interface.ts'
import { makeDmaBuf } from './memory.ts'

interface DevmemSendFlags extends SourceFlags {
  readonly size: number
  readonly dmabuf: string
}

/** Largest view that a source has. */
const SLOT_BYTES: number = 2 ** 20
/** Pages for replies, which are discarded. */
const POOL = { pages: 4, pageSize: 64 * 1024 }

export async function sendOut(
  output: Output,
  signal: AbortSignal,
  name: string,
  where: string,
  file: string | undefined,
  options: DevmemSendFlags,
): Promise<CommandOutcome> {
  const { host, port } = parseEndpoint(where)
  if (options.size < SLOT_BYTES) throw usage('--size is 1MiB at least.')
  checkSource(file, options)
  const ifindex = await ifindexOf(name)
  await using source = await sourceOf(file, options)
  using dmabuf = makeDmaBuf(options.dmabuf, options.size)
  using mapping = dmabuf.map()
  using binding = await bindTx({ ifindex, dmabuf })
  const pool = createPool(hostProvider(POOL))
  const connection = await connectDevmem({ pool, binding, host, port, signal })
  const sent = await sendSource(
    {
      connection,
      source,
      send: () => sendAll(connection, binding, source, mapping.bytes),
      bytes: () => connection.bytesWritten,
    },
    output,
    signal,
  )
  await pool.destroy()
  return { ...sent, report: { ...sent.report, devmem: connection.stats() } }
}

/** Sends a source through the memory, slot by slot. A slot is filled again when the peer has its bytes. */
async function sendAll(
  connection: DevmemConnection,
  binding: DevmemBinding,
  source: SendSource,
  memory: Uint8Array,
): Promise<void> {
  const slots = Math.floor(memory.length / SLOT_BYTES)
  const sent = new Array<Promise<void> | undefined>(slots).fill(undefined)
  let slot = 0
  for await (const view of source.views) {
    for (let at = 0; at < view.byteLength; at += SLOT_BYTES) {
      await sent[slot]
      const piece = view.subarray(at, at + SLOT_BYTES)
      const offset = slot * SLOT_BYTES
      const access = binding.dmabuf.sync('write')
      memory.set(piece, offset)
      access.end()
      const done = connection.sendDevice(binding, offset, piece.byteLength)
      // A failure shows when the slot is wanted again, or at the end.
      done.catch(() => undefined)
      sent[slot] = done
      slot = (slot + 1) % slots
    }
  }
  await Promise.all(sent)
}
