/** Sockets that are bound to the interface of a binding. */

import { lookup } from 'node:dns/promises'
import { setUpError } from '../../../net/internal.ts'
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

/** Bytes of a struct sockaddr_in. */
const IPV4_SOCKADDR = 16

export type SetUpCode = 'NETMEM_CONNECT_FAILED' | 'NETMEM_LISTEN_FAILED'

/** Resolves a name, and returns the address. */
export async function addressOfHost(code: SetUpCode, host: string, where: string): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw setUpError(code, where, cause)
  }
}

/** Opens a TCP socket whose packets come and go by one interface. */
export function openTcpSocket(
  host: string,
  port: number,
  ifindex: Ifindex,
): { readonly descriptor: OwnedFd; readonly sockaddr: Uint8Array } {
  const sockaddr = inetAddress(host, port)
  if (sockaddr === undefined) throw new RangeError(`${host} is no address of IPv4 or IPv6`)
  const family = sockaddr.byteLength === IPV4_SOCKADDR ? AF_INET : AF_INET6
  const descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK)
  try {
    setsockoptInt(descriptor.fd, SOL_SOCKET, SO_BINDTOIFINDEX, ifindex)
    return { descriptor, sockaddr }
  } catch (error) {
    descriptor.close()
    throw error
  }
}

/** Makes the error of connecting or listening, with a remedy for the kernel's error number. */
export function openError(code: SetUpCode, where: string, cause: unknown): Error {
  if (!(cause instanceof LinuxError) || cause.code !== 'NETMEM_SYSCALL_FAILED') {
    return setUpError(code, where, cause)
  }
  const [words = cause.message] = /^.*?\([A-Z0-9]+\)/.exec(cause.message) ?? []
  return setUpError(code, where, Object.assign(new Error(words, { cause }), { code: cause.errno }))
}
