/** Addresses of sockets as the kernel lays them out. */

import { isIP } from 'node:net'
import { formatAddress, parseAddress } from '../../wire/address.ts'
import { AF_INET, AF_INET6, AF_NETLINK, AF_UNIX } from './constants.ts'
import { SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_NL, SOCKADDR_UN } from './layouts.ts'

/** Writes a netlink address. Port 0 lets the kernel choose, and names the kernel as a destination. */
export function netlinkAddress(port = 0, groups = 0): Uint8Array {
  const address = new Uint8Array(SOCKADDR_NL.BYTES)
  const view = new DataView(address.buffer)
  view.setUint16(SOCKADDR_NL.FAMILY, AF_NETLINK, true)
  view.setUint32(SOCKADDR_NL.PORT, port, true)
  view.setUint32(SOCKADDR_NL.GROUPS, groups, true)
  return address
}

/** Returns the port of a netlink address, or undefined if it is an address of another family. */
export function netlinkPort(address: Uint8Array): number | undefined {
  if (address.byteLength < SOCKADDR_NL.BYTES) return undefined
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength)
  if (view.getUint16(SOCKADDR_NL.FAMILY, true) !== AF_NETLINK) return undefined
  return view.getUint32(SOCKADDR_NL.PORT, true)
}

/**
 * Writes the address of a Unix socket: a path, or a name that begins with NUL and has no file.
 * Returns undefined if it does not fit into 108 bytes, a path with its NUL at the end.
 */
export function unixAddress(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path.startsWith('\0') ? path : `${path}\0`)
  const bytes = SOCKADDR_UN.PATH + name.length
  if (bytes > SOCKADDR_UN.BYTES) return undefined
  const address = new Uint8Array(bytes)
  new DataView(address.buffer).setUint16(SOCKADDR_UN.FAMILY, AF_UNIX, true)
  address.set(name, SOCKADDR_UN.PATH)
  return address
}

/**
 * Writes an address of TCP or UDP over IPv4 or IPv6.
 *
 * @param host IPv4 or IPv6 in the usual notation, without a zone.
 * @param port 0 to 65535. 0 lets the kernel choose.
 * @returns undefined if `host` is no address.
 */
export function inetAddress(host: string, port: number): Uint8Array | undefined {
  const version = isIP(host)
  if (version === 0 || host.includes('%')) return undefined
  const { BYTES, FAMILY, PORT, ADDRESS } = version === 4 ? SOCKADDR_IN : SOCKADDR_IN6
  const address = new Uint8Array(BYTES)
  const view = new DataView(address.buffer)
  view.setUint16(FAMILY, version === 4 ? AF_INET : AF_INET6, true)
  view.setUint16(PORT, port)
  address.set(parseAddress(host), ADDRESS)
  return address
}

/** Returns host and port of an address of IPv4 or IPv6, or undefined if it is of another family. */
export function parseInetAddress(
  address: Uint8Array,
): { readonly host: string; readonly port: number } | undefined {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength)
  const family = address.byteLength < 2 ? 0 : view.getUint16(SOCKADDR_IN.FAMILY, true)
  if (family === AF_INET && address.byteLength >= SOCKADDR_IN.BYTES) {
    const host = formatAddress(address, SOCKADDR_IN.ADDRESS, 4)
    return { host, port: view.getUint16(SOCKADDR_IN.PORT) }
  }
  if (family !== AF_INET6 || address.byteLength < SOCKADDR_IN6.BYTES) return undefined
  const host = formatAddress(address, SOCKADDR_IN6.ADDRESS, 16)
  return { host, port: view.getUint16(SOCKADDR_IN6.PORT) }
}
