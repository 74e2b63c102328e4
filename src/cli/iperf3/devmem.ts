/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Device memory for the iperf3 server: control connections stay in pages, on queues without a binding.
 * Each data connection gets a rule that steers it to a bound queue.
 */

import { bindRx } from '../../linux/devmem/bind.ts'
import { prepareQueues } from '../../linux/devmem/prepare-queues.ts'
import type { PreparedQueues } from '../../linux/devmem/queue-setup.ts'
import type { DevmemConnection, DevmemStats } from '../../linux/devmem/socket/devmem-connection.ts'
import { listenDevmem } from '../../linux/devmem/socket/listen-devmem.ts'
import type { SteeredFlow } from '../../linux/devmem/steering.ts'
import { createPool } from '../../pool/create-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import { ifindexOf } from '../devmem/interface.ts'
import { makeDmaBuf } from '../devmem/memory.ts'
import { exactSize } from '../size.ts'
import type { Clients, Transport } from './transport.ts'

/** Options of the command line, with those that `--memory devmem` needs. */
export interface DevmemFlags {
  readonly host: string
  readonly port: number
  /** Bytes of device memory. */
  readonly pool: number
  readonly interface: string
  readonly queues: readonly number[]
  readonly dmabuf: string
}

/** Pages for control messages, and for what clients send before they are steered. */
const CONTROL_POOL = { pages: 64, pageSize: 16 * 1024 }

/** Payload of data connections. */
interface DevmemTotals {
  device_bytes: number
  device_frags: number
  /** Payload that came in pages, cookies of iperf3 included. */
  linear_bytes: number
}

type Counted = Pick<DevmemConnection, 'closed' | 'stats'>

/** Counts the payload of data connections, open and closed. */
export class DataTotals {
  readonly #open = new Set<Counted>()
  readonly #closed: DevmemTotals = { device_bytes: 0, device_frags: 0, linear_bytes: 0 }

  add(connection: Counted): void {
    this.#open.add(connection)
    void connection.closed.then(() => {
      this.#open.delete(connection)
      sum(this.#closed, connection.stats())
    })
  }

  now(): DevmemTotals {
    const totals = { ...this.#closed }
    for (const connection of this.#open) sum(totals, connection.stats())
    return totals
  }
}

function sum(
  totals: DevmemTotals,
  { device_bytes, device_frags, linear_bytes }: DevmemStats,
): void {
  totals.device_bytes += device_bytes
  totals.device_frags += device_frags
  totals.linear_bytes += linear_bytes
}

/** Prepares the card, binds memory, listens and calls `serve`. Undoes all of it when that is done. */
export async function overDevmem<T>(
  { host, port, pool: bytes, interface: name, queues, dmabuf: kind }: DevmemFlags,
  serve: (clients: Clients) => Promise<T>,
): Promise<T & { readonly devmem: DevmemTotals }> {
  const pool = createPool(hostProvider(CONTROL_POOL))
  const ifindex = await ifindexOf(name)
  const totals = new DataTotals()
  const serveBound = async (): Promise<T> => {
    using dmabuf = makeDmaBuf(kind, bytes)
    // The order matters: the last one ends first, so that the card is restored after the binding has ended.
    await using prepared = await prepareQueues({ ifindex, queues })
    using binding = await bindRx({ ifindex, queues, dmabuf })
    await using listener = await listenDevmem({ pool, binding, host, port })
    async function* connections(): AsyncGenerator<Transport, void, void> {
      for await (const one of listener) yield steered(one, prepared, totals)
    }
    return await serve({
      address: listener.address,
      what: `binding ${binding.id} of ${exactSize(bytes)}, queues ${queues.join()} of ${name}`,
      connections: connections(),
    })
  }
  const served = await serveBound()
  await pool.destroy()
  return { ...served, devmem: totals.now() }
}

/** Makes a connection that gets a rule of its own once it is known to carry data. */
function steered(
  connection: DevmemConnection,
  prepared: PreparedQueues,
  totals: DataTotals,
): Transport {
  return {
    remoteAddress: connection.remoteAddress,
    receive: () => connection.receive(),
    write: (data) => connection.write(data),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
    dataFollows: async () => {
      totals.add(connection)
      const rule = await prepared.steer(flowOf(connection))
      // Remaining rules are undone at the end.
      void connection.closed.then(() => prepared.unsteer(rule).catch(() => undefined))
    },
  }
}

/**
 * Returns the address of a client in the form of rules. An IPv4 client that came to `::` has its IPv4
 * address.
 */
function plainHost(host: string): string {
  return host.startsWith('::ffff:') && host.includes('.') ? host.slice('::ffff:'.length) : host
}

/** Returns the five fields that tell a connection from all others. */
export function flowOf({
  localAddress,
  remoteAddress,
}: Pick<DevmemConnection, 'localAddress' | 'remoteAddress'>): SteeredFlow {
  const sourceAddress = plainHost(remoteAddress.host)
  return {
    type: sourceAddress.includes(':') ? 'tcp6' : 'tcp4',
    sourceAddress,
    sourcePort: remoteAddress.port,
    destinationAddress: plainHost(localAddress.host),
    destinationPort: localAddress.port,
  }
}
