/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Binds a dma-buf to a network card, so that the card receives into it or sends out of it: bind-rx and
 * bind-tx of the netdev family (Linux, Documentation/networking/devmem.rst).
 */

import {
  ArgumentRangeError,
  ArgumentTypeError,
  checkInteger,
  type OptionNames,
  ownOptions,
} from '../../errors.ts'
import { DmaBuf } from '../dma-buf/dma-buf.ts'
import type { OfferedBinding } from '../dma-buf/offer-dma-buf.ts'
import { netdev } from '../netlink/generated/netdev.ts'
import { checkNetns } from '../netlink/namespace.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { NetlinkError } from '../netlink/netlink-error.ts'
import { openNetlink } from '../netlink/open-netlink.ts'
import { checkIfindex, type Ifindex } from '../sys/index.ts'
import { bindError, noSuchBinding } from './bind-error.ts'

/** Options of {@link bindTx}. */
export interface BindTxOptions {
  /** Number of the interface: `if_nametoindex`, or the number before its name in `ip link`. */
  readonly ifindex: number
  /** Memory to send from. */
  readonly dmabuf: DmaBuf
  /** File of the network namespace of the interface, such as `/run/netns/blue`. This thread's by default. */
  readonly netns?: string
}

/** Options of {@link bindRx}. */
export interface BindRxOptions extends BindTxOptions {
  /** RX queues of the interface, each once. All of them take from the one dma-buf. */
  readonly queues: readonly number[]
  /**
   * Bytes of a net_iov: a power of two, 4 KiB to 2 MiB. A memory page by default. Most drivers refuse
   * every other size with NETMEM_DEVMEM_PAGE_SIZE: bind again without it then.
   */
  readonly rxPageSize?: number
}

const TX_NAMES: OptionNames<BindTxOptions> = { ifindex: true, dmabuf: true, netns: true }
const RX_NAMES: OptionNames<BindRxOptions> = { ...TX_NAMES, queues: true, rxPageSize: true }

/** The two kinds of bindings, and the kernel's operations that make them. */
const RX = { call: 'bindRx()', operation: 'bind-rx' } as const
const TX = { call: 'bindTx()', operation: 'bind-tx' } as const

/** A dma-buf's attachment to a network card. */
export interface DevmemBinding extends OfferedBinding, Disposable {
  /** The dma-buf, which may be closed while it is bound. */
  readonly dmabuf: DmaBuf
  /**
   * Unbinds. Queues continue with memory of the host. The device keeps the memory until its last net_iov
   * has come back. A second call has no effect.
   */
  close(): void
  /** Resolves when the binding has been closed. */
  readonly closed: Promise<void>
}

/**
 * Binds a dma-buf to RX queues: payload that they receive lands in it. The queues are restarted, the
 * others run on. If the process ends, the kernel unbinds.
 *
 * Takes CAP_NET_ADMIN in the user namespace of the network namespace. Header split has to be on, and
 * flows have to be steered to the queues: see `prepareQueues`.
 *
 * @param options interface, queues and memory.
 * @throws NETMEM_DEVMEM_NO_INTERFACE, NETMEM_DEVMEM_QUEUE, NETMEM_DEVMEM_SPLIT_OFF,
 *   NETMEM_DEVMEM_SPLIT_THRESHOLD, NETMEM_DEVMEM_UNALIGNED, NETMEM_DEVMEM_PAGE_SIZE,
 *   NETMEM_DEVMEM_UNSUPPORTED, NETMEM_DEVMEM_MIXED_DEVICES, NETMEM_DEVMEM_BOUND, NETMEM_DEVMEM_XDP,
 *   NETMEM_DEVMEM_LEASED, NETMEM_DEVMEM_IGNORED, NETMEM_DEVMEM_ORDER, NETMEM_DEVMEM_FORBIDDEN,
 *   NETMEM_DEVMEM_DOWN, NETMEM_DEVMEM_KERNEL, NETMEM_DEVMEM_FAILED when the kernel refuses, as a rejection.
 * @throws NETMEM_DMABUF_IN_USE for memory that serves the host as pages, NETMEM_DMABUF_CLOSED,
 *   NETMEM_NOT_A_DMABUF, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE or NETMEM_LINUX_UNAVAILABLE, as a
 *   rejection.
 *
 * @example
 * ```ts
 * import { bindRx, createUdmabuf } from 'netmem/linux'
 *
 * const dmabuf = createUdmabuf({ bytes: 16 * 2 ** 20 })
 * const binding = await bindRx({ ifindex: 2, queues: [3], dmabuf })
 * console.log(binding.id) // the number that frags of it carry
 * binding.close()
 * dmabuf.close()
 * ```
 */
export function bindRx(options: BindRxOptions): Promise<DevmemBinding> {
  return bindRxOver(openNetlink, options)
}

/** {@link bindRx} over another opener of netlink, for tests. */
export async function bindRxOver(
  open: typeof openNetlink,
  options: BindRxOptions,
): Promise<DevmemBinding> {
  const own = ownOptions('bindRx()', options, RX_NAMES)
  const { queues, rxPageSize } = own
  const ifindex = checkTarget('bindRx()', own)
  checkQueues(queues)
  if (rxPageSize !== undefined) checkRxPageSize(rxPageSize)
  return bind(open, RX, own, ifindex, queues, (netlink, fd) =>
    netlink.do(netdev, 'bind-rx', {
      ifindex,
      fd,
      queues: queues.map((id) => ({ id, type: 'rx' as const })),
      ...(rxPageSize === undefined ? {} : { 'rx-page-size': rxPageSize }),
    }),
  )
}

/**
 * Binds a dma-buf to an interface, so that sockets can send out of it without a copy. Takes no right.
 *
 * @param options interface and memory.
 * @throws NETMEM_DEVMEM_NO_INTERFACE, NETMEM_DEVMEM_UNSUPPORTED, NETMEM_DEVMEM_UNALIGNED,
 *   NETMEM_DEVMEM_KERNEL, NETMEM_DEVMEM_FAILED when the kernel refuses, as a rejection.
 * @throws NETMEM_DMABUF_IN_USE for memory that serves the host as pages, NETMEM_DMABUF_CLOSED,
 *   NETMEM_NOT_A_DMABUF, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE or NETMEM_LINUX_UNAVAILABLE, as a
 *   rejection.
 *
 * @example
 * ```ts
 * import { bindTx, udmabufProvider } from 'netmem/linux'
 *
 * const provider = udmabufProvider({ pages: 64, pageSize: 4096, kind: 'net_iov' })
 * const binding = await bindTx({ ifindex: 2, dmabuf: provider.dmabuf })
 * provider.bindTo(binding)
 * binding.close()
 * provider.close()
 * ```
 */
export async function bindTx(options: BindTxOptions): Promise<DevmemBinding> {
  const own = ownOptions('bindTx()', options, TX_NAMES)
  const ifindex = checkTarget('bindTx()', own)
  return bind(openNetlink, TX, own, ifindex, [], (netlink, fd) =>
    netlink.do(netdev, 'bind-tx', { ifindex, fd }),
  )
}

async function bind(
  open: typeof openNetlink,
  kind: typeof RX | typeof TX,
  { dmabuf, netns }: BindTxOptions,
  ifindex: Ifindex,
  queues: readonly number[],
  request: (netlink: Netlink, fd: number) => Promise<{ readonly id: number }>,
): Promise<DevmemBinding> {
  const release = dmabuf.claim('net_iov')
  let netlink: Netlink | undefined
  try {
    // A separate socket: closing it unbinds.
    netlink = await open(netns === undefined ? {} : { netns })
    const { id } = await request(netlink, dmabuf.fd)
    return openBinding(netlink, release, { id, ifindex, queues: [...queues], dmabuf })
  } catch (error) {
    release()
    if (netlink === undefined) throw error
    using refusing = netlink
    throw await explained(refusing, kind, ifindex, error)
  }
}

/** Returns the error of a binding that failed. The kernel is asked whether it knows bindings at all. */
async function explained(
  netlink: Netlink,
  { call, operation }: typeof RX | typeof TX,
  ifindex: Ifindex,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof NetlinkError)) return error
  if (error.code === 'NETMEM_NETLINK_NO_FAMILY') return noSuchBinding(call, error)
  if (error.code !== 'NETMEM_NETLINK_REFUSED') return error
  if (error.errno === 'EOPNOTSUPP' && !(await netlink.supports(netdev, operation))) {
    return noSuchBinding(call, error)
  }
  return bindError(call, ifindex, error)
}

/** Makes a binding that lasts as long as the socket of `netlink`. */
function openBinding(
  netlink: Netlink,
  release: () => void,
  bound: Pick<DevmemBinding, 'id' | 'ifindex' | 'queues' | 'dmabuf'>,
): DevmemBinding {
  let resolve = (): void => undefined
  const closed = new Promise<void>((done) => {
    resolve = done
  })
  const close = (): void => {
    netlink.close()
    release()
    resolve()
  }
  return { ...bound, closed, close, [Symbol.dispose]: close }
}

function checkTarget(call: string, { ifindex, dmabuf, netns }: BindTxOptions): Ifindex {
  if (!(dmabuf instanceof DmaBuf)) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${call} takes a DmaBuf as dmabuf: createUdmabuf() makes one, and adoptDmaBuf() makes one of a descriptor.`,
    )
  }
  if (netns !== undefined) checkNetns(netns)
  return checkIfindex(ifindex)
}

/** Throws unless `queues` names one RX queue or more, each once. */
export function checkQueues(queues: readonly number[]): void {
  if (!Array.isArray(queues) || queues.length === 0) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'queues is an array of the numbers of RX queues, with one at least.',
    )
  }
  for (const [index, queue] of queues.entries()) {
    checkInteger(`queue ${index} of queues`, queue, 0, 2 ** 16 - 1)
    if (queues.indexOf(queue) !== index) {
      throw new ArgumentRangeError(
        'NETMEM_OUT_OF_RANGE',
        `queues has ${queue} twice. Name each queue once.`,
      )
    }
  }
}

function checkRxPageSize(rxPageSize: number): void {
  const bytes = checkInteger('rxPageSize', rxPageSize, 4096, 2 ** 21)
  if ((bytes & (bytes - 1)) === 0) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `rxPageSize must be a power of two such as 16384, not ${bytes}.`,
  )
}
