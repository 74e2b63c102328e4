/** Connects to a server, for devmem. */

import { ConnectionError, checkInteger, type OptionNames, ownOptions } from '../../../errors.ts'
import { aborted } from '../../../net/internal.ts'
import {
  connect,
  failureOfNumber,
  getsockoptInt,
  type Ifindex,
  LinuxError,
  type OwnedFd,
  POLLOUT,
  SO_ERROR,
  SOL_SOCKET,
  watch,
} from '../../sys/index.ts'
import { connectionOf } from './adopt-devmem.ts'
import type { DevmemConnection } from './devmem-connection.ts'
import {
  checkDevmemOptions,
  DEVMEM_CONNECTION_OPTIONS,
  type DevmemConnectionOptions,
} from './devmem-options.ts'
import { watchInterface } from './interface-watch.ts'
import { checkHost, openTcpSocket } from './open-socket.ts'
import { checkRoute } from './route.ts'

/** Options of {@link connectDevmem}. */
export interface ConnectDevmemOptions extends DevmemConnectionOptions {
  /** Name or address of the server. */
  readonly host: string
  /** TCP port, 1 to 65535. */
  readonly port: number
  /** Milliseconds until it gives up: 1 to 2^31 − 1. The kernel's limit by default, about two minutes. */
  readonly connectTimeoutMs?: number
}

const NAMES: OptionNames<ConnectDevmemOptions> = {
  ...DEVMEM_CONNECTION_OPTIONS,
  host: true,
  port: true,
  connectTimeoutMs: true,
}

/**
 * Connects by the interface that the memory is bound to, and resolves when bytes can flow. The socket is
 * bound to the interface. A route by another one is refused first: the kernel drops unreadable packets
 * there in silence.
 *
 * @throws NETMEM_DEVMEM_ROUTE, NETMEM_DEVMEM_NO_INTERFACE, NETMEM_CONNECT_FAILED, NETMEM_TIMEOUT, NETMEM_ABORTED,
 *   NETMEM_DEVMEM_KERNEL or NETMEM_LINUX_UNAVAILABLE, as a rejection.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, NETMEM_WRONG_KIND or NETMEM_POOL_DESTROYED for
 *   options that no connection can have.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { bindTx, connectDevmem, createUdmabuf } from 'netmem/linux'
 *
 * const pool = createPool(hostProvider({ pages: 64 }))
 * const dmabuf = createUdmabuf({ bytes: 2 ** 20 })
 * const binding = await bindTx({ ifindex: 2, dmabuf })
 * const connection = await connectDevmem({ pool, binding, host: '192.0.2.7', port: 5201 })
 * await connection.sendDevice(binding, 0, 2 ** 20) // without a copy
 * await connection.close()
 * ```
 */
export async function connectDevmem(options: ConnectDevmemOptions): Promise<DevmemConnection> {
  const own = ownOptions('connectDevmem()', options, NAMES)
  const ifindex = checkDevmemOptions(own)
  const { host, signal, connectTimeoutMs } = own
  checkHost(host)
  const port = checkInteger('port', own.port, 1, 65535)
  if (connectTimeoutMs !== undefined) {
    checkInteger('connectTimeoutMs', connectTimeoutMs, 1, 2 ** 31 - 1)
  }
  if (signal?.aborted) throw aborted(signal.reason)
  const descriptor = await openTcpSocket(
    { code: 'NETMEM_CONNECT_FAILED', host, port, ifindex },
    (address) => checkRoute(address, ifindex),
    async (opened, sockaddr) => {
      const where = `${host}:${port}`
      await dial(opened, sockaddr, { where, ifindex, signal, connectTimeoutMs })
      return opened
    },
  )
  return connectionOf(descriptor, own, ifindex)
}

/** Connects a socket that does not block. */
async function dial(
  descriptor: OwnedFd,
  sockaddr: Uint8Array,
  {
    where,
    ifindex,
    signal,
    connectTimeoutMs,
  }: {
    readonly where: string
    readonly ifindex: Ifindex
    readonly signal: AbortSignal | undefined
    readonly connectTimeoutMs: number | undefined
  },
): Promise<void> {
  try {
    connect(descriptor.fd, sockaddr)
    return
  } catch (error) {
    if (!(error instanceof LinuxError) || error.errno !== 'EINPROGRESS') throw error
  }
  using connected = watch(descriptor.fd, POLLOUT)
  let gone: Error | undefined
  const giveUp = (): void => connected.cancel()
  const unwatch = watchInterface(ifindex, (error) => {
    gone = error
    giveUp()
  })
  const timer = connectTimeoutMs === undefined ? undefined : setTimeout(giveUp, connectTimeoutMs)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    if (!signal?.aborted && (await connected.ready()) !== 0) {
      const number = getsockoptInt(descriptor.fd, SOL_SOCKET, SO_ERROR)
      if (number !== 0) throw failureOfNumber(number, 'connect')
      return
    }
  } finally {
    unwatch()
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
  if (signal?.aborted) throw aborted(signal.reason)
  if (gone !== undefined) throw gone
  throw new ConnectionError(
    'NETMEM_TIMEOUT',
    `Connecting to ${where} took longer than ${connectTimeoutMs} ms. Check host, port and route.`,
  )
}
