/** Calls on sockets but for messages, which are in `messages.ts`. Addresses are bytes: see `addresses.ts`. */

import { O_CLOEXEC } from './constants.ts'
import { checked, failure } from './failure.ts'
import { type Bytes, libc, Pinned } from './libc.ts'
import { type Fd, type OwnedFd, own, ownOrWait, ownPair } from './owned-fd.ts'

/** Bytes of the longest address (struct sockaddr_storage). */
const ADDRESS_BYTES = 128

const length = new Uint32Array(1)

/** Makes a socket. SOCK_CLOEXEC is always set. */
export function socket(family: number, type: number, protocol = 0): OwnedFd {
  return own('socket', `family ${family}, type ${type & 15}`, () =>
    libc().socket(family, type | O_CLOEXEC, protocol),
  )
}

/** Makes two sockets that are connected to each other. */
export function socketpair(family: number, type: number): [OwnedFd, OwnedFd] {
  const fds = new Pinned(8)
  return ownPair('socketpair', fds, () =>
    libc().socketpair(family, type | O_CLOEXEC, 0, fds.address),
  )
}

/** Gives a socket its address. */
export function bind(fd: Fd, address: Uint8Array): void {
  checked(libc().bind(fd, address, address.byteLength), 'bind')
}

/** Connects a socket. One that does not block is on its way when the error is EINPROGRESS. */
export function connect(fd: Fd, address: Uint8Array): void {
  checked(libc().connect(fd, address, address.byteLength), 'connect')
}

/** Lets a socket be connected to. */
export function listen(fd: Fd, backlog: number): void {
  checked(libc().listen(fd, backlog), 'listen')
}

/** Takes a connection, or returns undefined if no connection waits. */
export function accept4(fd: Fd, flags: number): OwnedFd | undefined {
  return ownOrWait('accept4', 'accepted socket', () =>
    libc().accept4(fd, null, null, flags | O_CLOEXEC),
  )
}

/** Returns the address of a socket. */
export function getsockname(fd: Fd): Uint8Array {
  const address = new Uint8Array(ADDRESS_BYTES)
  length[0] = ADDRESS_BYTES
  checked(libc().getsockname(fd, address, length), 'getsockname')
  return address.subarray(0, length[0])
}

/** Returns the address of the peer of a connected socket. */
export function getpeername(fd: Fd): Uint8Array {
  const address = new Uint8Array(ADDRESS_BYTES)
  length[0] = ADDRESS_BYTES
  checked(libc().getpeername(fd, address, length), 'getpeername')
  return address.subarray(0, length[0])
}

/** Closes a connection in one direction or both (SHUT_RD, SHUT_WR, SHUT_RDWR). */
export function shutdown(fd: Fd, how: number): void {
  checked(libc().shutdown(fd, how), 'shutdown')
}

/** Reads an option of a socket into `value`, and returns how many bytes it has. */
export function getsockopt(fd: Fd, level: number, name: number, value: Bytes): number {
  length[0] = value.byteLength
  if (libc().getsockopt(fd, level, name, value, length) === -1) {
    throw failure('getsockopt', `level ${level}, option ${name}`)
  }
  return length[0]
}

/** Sets an option of a socket. Returns 0, or a count where the option has one (SO_DEVMEM_DONTNEED). */
export function setsockopt(fd: Fd, level: number, name: number, value: Bytes): number {
  const result = libc().setsockopt(fd, level, name, value, value.byteLength)
  if (result === -1) throw failure('setsockopt', `level ${level}, option ${name}`)
  return result
}

const number = new Int32Array(1)

/** Sets an option of a socket that is a number of 32 bits. */
export function setsockoptInt(fd: Fd, level: number, name: number, value: number): void {
  number[0] = value
  setsockopt(fd, level, name, number)
}

/** Reads an option of a socket that is a number of 32 bits. */
export function getsockoptInt(fd: Fd, level: number, name: number): number {
  getsockopt(fd, level, name, number)
  return number[0] ?? 0
}
