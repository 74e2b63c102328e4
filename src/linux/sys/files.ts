/** Calls on descriptors of any kind: open(2), read(2), write(2), fcntl(2), ioctl(2), eventfd(2) and their kin. */

import { F_DUPFD_CLOEXEC, MFD_CLOEXEC, O_CLOEXEC } from './constants.ts'
import { checked, checkedOrWait, failure, interrupted } from './failure.ts'
import { type Bytes, libc, type Pinned } from './libc.ts'
import { type Fd, type OwnedFd, own } from './owned-fd.ts'

/** Opens a file. O_CLOEXEC is always set. */
export function open(path: string, flags: number, mode = 0): OwnedFd {
  return own('open', path, () => libc().open(path, flags | O_CLOEXEC, mode))
}

/**
 * Reads the available bytes into `bytes`, at most its length.
 *
 * @returns the bytes that were read, 0 at the end, or undefined if there is nothing to read yet.
 */
export function read(fd: Fd, bytes: Bytes): number | undefined {
  let result: number
  do result = libc().read(fd, bytes, bytes.byteLength)
  while (interrupted(result))
  return checkedOrWait(result, 'read')
}

/**
 * Writes `bytes`.
 *
 * @returns how many bytes were written, or undefined if there is no room yet.
 */
export function write(fd: Fd, bytes: Bytes): number | undefined {
  let result: number
  do result = libc().write(fd, bytes, bytes.byteLength)
  while (interrupted(result))
  return checkedOrWait(result, 'write')
}

/** Makes fcntl(2) of a command whose argument is a number. Returns what the command returns. */
export function fcntl(fd: Fd, command: number, argument = 0): number {
  const result = libc().fcntl(fd, command, argument)
  if (result === -1) throw failure('fcntl', `command ${command}`)
  return result
}

/** Makes another descriptor of the same file. */
export function dup(fd: Fd): OwnedFd {
  return own('fcntl', `copy of ${fd}`, () => libc().fcntl(fd, F_DUPFD_CLOEXEC, 0))
}

/** Sets the length of a file, in bytes. */
export function ftruncate(fd: Fd, bytes: number): void {
  checked(libc().ftruncate(fd, bytes), 'ftruncate')
}

/**
 * Makes ioctl(2).
 *
 * @param argument a number, or the address of a structure (`addressOf`) that the caller keeps.
 * @returns what the request returns.
 */
export function ioctl(fd: Fd, request: number, argument = 0): number {
  const result = libc().ioctl(fd, request, argument)
  if (result === -1) throw failure('ioctl', `request 0x${request.toString(16)}`)
  return result
}

/**
 * Makes ioctl(2) of a request that makes a descriptor, and takes ownership of it.
 *
 * @param label what the descriptor is.
 * @param offset byte of the argument to which the kernel writes the descriptor. By default the call
 *   returns it.
 */
export function ioctlOwned(
  fd: Fd,
  request: number,
  argument: Pinned,
  label: string,
  offset?: number,
): OwnedFd {
  const { ioctl } = libc()
  const { address, view } = argument
  return own('ioctl', label, () => {
    const result = ioctl(fd, request, address)
    return result === -1 || offset === undefined ? result : view.getInt32(offset, true)
  })
}

/** Makes an eventfd: a counter that a write adds to and a read takes. */
export function eventfd(initial: number, flags: number): OwnedFd {
  return own('eventfd', 'event counter', () => libc().eventfd(initial, flags | O_CLOEXEC))
}

/** Makes a file in memory, empty. */
export function memfdCreate(name: string, flags: number): OwnedFd {
  return own('memfd_create', `memfd:${name}`, () => libc().memfdCreate(name, flags | MFD_CLOEXEC))
}

/** Moves this thread into the namespace of a descriptor. `kind` is 0, or one of CLONE_NEW*. */
export function setns(fd: Fd, kind: number): void {
  checked(libc().setns(fd, kind), 'setns')
}
