/** Addresses of sockets as the kernel lays them out. */

import { AF_NETLINK, AF_UNIX } from './constants.ts'

/** struct sockaddr_nl. K: include/uapi/linux/netlink.h. */
const NETLINK_BYTES = 12
const NETLINK_PORT = 4
const NETLINK_GROUPS = 8
/** Most bytes of a path with its end. K: include/uapi/linux/un.h, UNIX_PATH_MAX. */
const UNIX_PATH_BYTES = 108

/** Writes a netlink address. Port 0 lets the kernel choose, and names the kernel as a destination. */
export function netlinkAddress(port = 0, groups = 0): Uint8Array {
  const address = new Uint8Array(NETLINK_BYTES)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_NETLINK, true)
  view.setUint32(NETLINK_PORT, port, true)
  view.setUint32(NETLINK_GROUPS, groups, true)
  return address
}

/** Returns the port of a netlink address, or undefined if it is an address of another family. */
export function netlinkPort(address: Uint8Array): number | undefined {
  if (address.byteLength < NETLINK_BYTES) return undefined
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength)
  if (view.getUint16(0, true) !== AF_NETLINK) return undefined
  return view.getUint32(NETLINK_PORT, true)
}

/** Writes the address of a Unix socket, or returns undefined if the path is longer than 107 bytes. */
export function unixAddress(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path)
  if (name.length >= UNIX_PATH_BYTES) return undefined
  const address = new Uint8Array(2 + name.length + 1)
  new DataView(address.buffer).setUint16(0, AF_UNIX, true)
  address.set(name, 2)
  return address
}
