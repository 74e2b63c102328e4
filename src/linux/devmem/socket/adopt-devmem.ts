/** Takes over connected sockets as devmem connections. */

import { checkInteger, type OptionNames, ownOptions } from '../../../errors.ts'
import { aborted, invalid } from '../../../net/internal.ts'
import {
  AF_INET,
  F_GETFL,
  F_SETFL,
  type Fd,
  fcntl,
  getpeername,
  getsockopt,
  getsockoptInt,
  type Ifindex,
  isFd,
  LinuxError,
  O_NONBLOCK,
  OwnedFd,
  SO_DEVMEM_DONTNEED,
  SO_NETNS_COOKIE,
  SO_PROTOCOL,
  SOCK_STREAM,
  SOL_SOCKET,
  SOL_TCP,
  setsockopt,
  setsockoptInt,
  socket,
  TCP_NODELAY,
} from '../../sys/index.ts'
import type { DevmemConnection } from './devmem-connection.ts'
import {
  checkDevmemOptions,
  DEVMEM_CONNECTION_OPTIONS,
  type DevmemConnectionOptions,
} from './devmem-options.ts'
import { KernelIo } from './kernel-io.ts'
import { OpenDevmemConnection } from './open-devmem-connection.ts'
import { socketError } from './socket-error.ts'

/** Options of {@link adoptDevmem}. */
export interface AdoptDevmemOptions extends DevmemConnectionOptions {
  /**
   * Descriptor of a connected TCP socket that Node.js has never read. A `net.Socket` does not fit, since
   * it reads into its own buffers.
   */
  readonly fd: number
}

const NAMES: OptionNames<AdoptDevmemOptions> = { ...DEVMEM_CONNECTION_OPTIONS, fd: true }

/**
 * Takes over a connected TCP socket as a devmem connection. The connection owns the descriptor from
 * here, and closes it.
 *
 * @throws NETMEM_DEVMEM_NOT_TCP for another kind of descriptor, which stays the caller's, and
 *   NETMEM_DEVMEM_KERNEL where the kernel has no devmem TCP.
 * @throws NETMEM_ABORTED, NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, NETMEM_WRONG_KIND,
 *   NETMEM_POOL_DESTROYED, NETMEM_LINUX_UNAVAILABLE.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { adoptDevmem, receiveDmaBuf } from 'netmem/linux'
 *
 * const { binding } = await receiveDmaBuf('/run/netmem/devmem.sock') // of `netmem devmem prepare`
 * const fd = 23 // accepted by other code
 * if (binding !== undefined) {
 *   const pool = createPool(hostProvider({ pages: 64 }))
 *   const connection = adoptDevmem({ fd, pool, binding })
 *   for await (const frag of connection) frag.release()
 *   await connection.close()
 * }
 * ```
 */
export function adoptDevmem(options: AdoptDevmemOptions): DevmemConnection {
  const own = ownOptions('adoptDevmem()', options, NAMES)
  const ifindex = checkDevmemOptions(own)
  if (typeof own.fd !== 'number') {
    throw invalid('fd is the number of a descriptor. A net.Socket has read from its own already.')
  }
  const fd = checkInteger('fd', own.fd, 0, 2 ** 31 - 1)
  if (own.signal?.aborted) throw aborted(own.signal.reason)
  if (!isFd(fd)) throw notTcp(fd, 'is no descriptor')
  checkSocket(fd)
  const descriptor = new OwnedFd(fd, 'devmem socket')
  return connectionOf(descriptor, own, isOfThisNamespace(descriptor.fd) ? ifindex : undefined)
}

/**
 * Makes a connection of a connected socket, and closes the socket if that fails.
 *
 * @param ifindex the interface with which the connection ends, in this network namespace.
 */
export function connectionOf(
  descriptor: OwnedFd,
  options: DevmemConnectionOptions,
  ifindex: Ifindex | undefined,
): DevmemConnection {
  try {
    const { fd } = descriptor
    checkKernel(fd)
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
    if (options.noDelay !== false) setsockoptInt(fd, SOL_TCP, TCP_NODELAY, 1)
    const connection = new OpenDevmemConnection(new KernelIo(descriptor), options)
    if (ifindex !== undefined) connection.endWith(ifindex)
    return connection
  } catch (error) {
    descriptor.close()
    throw error
  }
}

function checkSocket(fd: Fd): void {
  let protocol: number
  try {
    protocol = getsockoptInt(fd, SOL_SOCKET, SO_PROTOCOL)
  } catch {
    throw notTcp(fd, 'is no socket')
  }
  if (protocol !== SOL_TCP) throw notTcp(fd, 'is a socket of another protocol')
  try {
    getpeername(fd)
  } catch {
    throw notTcp(fd, 'is not connected')
  }
  checkKernel(fd)
}

/** True of a socket of this thread's network namespace: interfaces of another one have numbers of their own. */
function isOfThisNamespace(fd: Fd): boolean {
  using here = socket(AF_INET, SOCK_STREAM)
  return namespaceOf(fd) === namespaceOf(here.fd)
}

function namespaceOf(fd: Fd): bigint {
  const cookie = new BigUint64Array(1)
  getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie)
  return cookie[0] ?? 0n
}

/** Gives back no token, which every kernel with devmem TCP takes. */
function checkKernel(fd: Fd): void {
  try {
    setsockopt(fd, SOL_SOCKET, SO_DEVMEM_DONTNEED, new Uint32Array(2))
  } catch (error) {
    throw socketError('giveBack', error)
  }
}

function notTcp(fd: number, what: string): LinuxError {
  return new LinuxError(
    'NETMEM_DEVMEM_NOT_TCP',
    `Descriptor ${fd} ${what}. Device memory comes by TCP alone: pass a connected TCP socket.`,
  )
}
