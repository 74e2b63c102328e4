/** Addresses of sockets as the kernel lays them out. */

import { AF_NETLINK, AF_UNIX } from './constants.ts'
import { SOCKADDR_NL, SOCKADDR_UN } from './layouts.ts'

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

/** Writes the address of a Unix socket, or returns undefined if the path is longer than 107 bytes. */
export function unixAddress(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path)
  const bytes = SOCKADDR_UN.PATH + name.length + 1
  if (bytes > SOCKADDR_UN.BYTES) return undefined
  const address = new Uint8Array(bytes)
  new DataView(address.buffer).setUint16(SOCKADDR_UN.FAMILY, AF_UNIX, true)
  address.set(name, SOCKADDR_UN.PATH)
  return address
}
