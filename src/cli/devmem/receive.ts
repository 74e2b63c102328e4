/** Prepares the card for `netmem devmem recv`, binds memory, and takes what each connection brings. */

import { bindRx } from '../../linux/devmem/bind.ts'
import { prepareQueues } from '../../linux/devmem/prepare-queues.ts'
import type { DevmemConnection } from '../../linux/devmem/socket/devmem-connection.ts'
import { listenDevmem } from '../../linux/devmem/socket/listen-devmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import { formatEndpoint } from '../endpoint.ts'
import type { Output } from '../output.ts'
import {
  type ReceivedBytes,
  type ReceiveFlags,
  type ReceptionSource,
  receiveAll,
} from '../recv/receive-all.ts'
import type { CommandOutcome } from '../run.ts'
import { exactSize } from '../size.ts'
import { ifindexOf } from './interface.ts'
import { makeDmaBuf } from './memory.ts'

interface DevmemRecvFlags extends ReceiveFlags {
  readonly queues: readonly number[]
  readonly port: number
  readonly host: string
  readonly size: number
  readonly dmabuf: string
  readonly linear: 'take' | 'refuse'
}

/** Pages for payload that comes in host memory. */
const POOL = { pages: 64, pageSize: 64 * 1024 }

export async function receiveDevmem(
  output: Output,
  signal: AbortSignal,
  name: string,
  options: DevmemRecvFlags,
): Promise<CommandOutcome> {
  const { queues, port, host, sha256 = false } = options
  const ifindex = await ifindexOf(name)
  using dmabuf = makeDmaBuf(options.dmabuf, options.size)
  const looks = sha256 || options.pattern !== undefined
  using mapping = looks ? dmabuf.map() : undefined
  const flows = (['tcp4', 'tcp6'] as const).map((type) => ({ type, destinationPort: port }))
  // The order matters: the last one ends first, so that the card is restored after the binding has ended.
  await using _prepared = await prepareQueues({ ifindex, queues, flows })
  using binding = await bindRx({ ifindex, queues, dmabuf })
  const pool = createPool(hostProvider(POOL))
  const strict = options.linear === 'refuse'
  await using listener = await listenDevmem({ pool, binding, host, port, strict, signal })
  output.note(
    `netmem: listening on ${formatEndpoint(listener.address)} of ${name}, queues ${queues.join(',')}, binding ${binding.id} of ${exactSize(dmabuf.bytes)}`,
  )
  const received = await receiveAll(
    listener,
    (connection) => mapped(connection, mapping?.bytes),
    options,
    { command: 'devmem recv', output, signal },
  )
  await pool.destroy()
  return received
}

/** Makes a connection whose frags have bytes: bytes of the mapped memory, or zeros that only count. */
function mapped(connection: DevmemConnection, memory: Uint8Array | undefined): ReceptionSource {
  async function* frags(): AsyncGenerator<ReceivedBytes, void, void> {
    for await (const frag of connection) {
      if (frag.kind === 'page') {
        yield frag
        continue
      }
      const { offset, length } = frag
      const bytes =
        memory === undefined ? UNSEEN.subarray(0, length) : memory.subarray(offset, offset + length)
      yield { bytes, release: () => frag.release() }
    }
  }
  return {
    remoteAddress: connection.remoteAddress,
    pool: connection.pool ?? createPool(hostProvider(POOL)),
    devmem: () => {
      connection.flush()
      return connection.stats()
    },
    close: () => connection.close(),
    destroy: (reason) => connection.destroy(reason),
    [Symbol.asyncIterator]: frags,
  }
}

/** Zeros in place of bytes that the host does not see. As large as the largest net_iov. */
const UNSEEN = new Uint8Array(2 ** 21)
