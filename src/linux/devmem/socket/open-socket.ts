/** Sockets that are bound to the interface of a binding. */

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { invalid, rejectedAtCaller, setUpError } from '../../../net/internal.ts'
import {
  AF_INET,
  AF_INET6,
  type Ifindex,
  inetAddress,
  LinuxError,
  type OwnedFd,
  SO_BINDTOIFINDEX,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setsockoptInt,
  socket,
} from '../../sys/index.ts'

type SetUpCode = 'NETMEM_CONNECT_FAILED' | 'NETMEM_LISTEN_FAILED'

/** End of a TCP connection on an interface. */
interface SocketPlace {
  /** Code of the error if there can be no such socket. */
  readonly code: SetUpCode
  readonly host: string
  readonly port: number
  readonly ifindex: Ifindex
}

/**
 * Opens a TCP socket whose packets come and go by one interface, and resolves with what `use` makes of
 * it. Closes the socket if that fails.
 *
 * @param check throws for an address that the interface cannot serve.
 */
export async function openTcpSocket<T>(
  { code, host, port, ifindex }: SocketPlace,
  check: (address: string) => Promise<void>,
  use: (descriptor: OwnedFd, sockaddr: Uint8Array) => T | Promise<T>,
): Promise<T> {
  const where = `${host}:${port}`
  const address = await addressOfHost(code, host, where)
  await check(address)
  let descriptor: OwnedFd | undefined
  try {
    const sockaddr = inetAddress(address, port)
    if (sockaddr === undefined) throw new RangeError(`${address} is no address of IPv4 or IPv6`)
    descriptor = socket(isIP(address) === 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK)
    setsockoptInt(descriptor.fd, SOL_SOCKET, SO_BINDTOIFINDEX, ifindex)
    return await use(descriptor, sockaddr)
  } catch (error) {
    descriptor?.close()
    return rejectedAtCaller(openError(code, where, error))
  }
}

/** Throws NETMEM_INVALID_ARGUMENT for a host that is no text. */
export function checkHost(host: unknown): void {
  if (typeof host !== 'string' || host === '') throw invalid('host must be a non-empty string.')
}

/** Resolves a name, and returns the address. */
async function addressOfHost(code: SetUpCode, host: string, where: string): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw setUpError(code, where, cause)
  }
}

/** Makes the error of connecting or listening, with a remedy for the kernel's error number. */
function openError(code: SetUpCode, where: string, cause: unknown): Error {
  if (!(cause instanceof LinuxError) || cause.code !== 'NETMEM_SYSCALL_FAILED') {
    return setUpError(code, where, cause)
  }
  const [words = cause.message] = /^.*?\([A-Z0-9]+\)/.exec(cause.message) ?? []
  return setUpError(code, where, Object.assign(new Error(words, { cause }), { code: cause.errno }))
}
