/** Unix sockets that have a place in the file system. */

import { lstatSync, rmSync } from 'node:fs'
import { ArgumentRangeError } from '../../errors.ts'
import { unixAddress } from './addresses.ts'
import { AF_UNIX, SOCK_NONBLOCK } from './constants.ts'
import { ERRNO, type ErrnoName } from './errno.ts'
import { failureOf } from './failure.ts'
import { LinuxError } from './linux-error.ts'
import type { OwnedFd } from './owned-fd.ts'
import { bind, connect, socket } from './sockets.ts'

const REMEDIES: { readonly [Name in ErrnoName]?: string } = {
  EADDRINUSE:
    'Another program serves there, or it is a file: end that program, or take another place.',
  ENOENT: 'Its folder is not there: make it, or take another place.',
  ENOTDIR: 'A part of the path is a file: take another place.',
  EACCES: 'This user may not write to the folder: take another place.',
}

/**
 * Returns the address of a Unix socket.
 *
 * @throws NETMEM_OUT_OF_RANGE for a path of no byte, or more than 107.
 */
export function unixAddressOf(path: string): Uint8Array {
  const address = unixAddress(path)
  if (address !== undefined && path !== '') return address
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `The path of a Unix socket has 1 to 107 bytes: ${JSON.stringify(path)} does not. Take another one.`,
  )
}

/**
 * Makes a socket that has `path`, and does not listen yet. A socket that a process has left there is
 * replaced.
 *
 * @param type SOCK_STREAM or SOCK_SEQPACKET. Calls do not block.
 * @throws NETMEM_SYSCALL_FAILED if it cannot have the place, NETMEM_OUT_OF_RANGE.
 */
export function boundUnixSocket(path: string, type: number): OwnedFd {
  const address = unixAddressOf(path)
  const made = socket(AF_UNIX, type | SOCK_NONBLOCK)
  try {
    const refused = refusal(() => bind(made.fd, address))
    if (refused === undefined) return made
    if (refused !== 'EADDRINUSE' || !isAbandoned(path, type, address))
      throw placeError(path, refused)
    rmSync(path)
    bind(made.fd, address)
    return made
  } catch (error) {
    made.close()
    throw error
  }
}

/** True of a socket on which no process listens. Connecting to an ordinary file is refused alike. */
function isAbandoned(path: string, type: number, address: Uint8Array): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false
  using probe = socket(AF_UNIX, type | SOCK_NONBLOCK)
  return refusal(() => connect(probe.fd, address)) === 'ECONNREFUSED'
}

/** Returns the kernel's word for its refusal of a call. `undefined` if it does not refuse. */
function refusal(call: () => void): ErrnoName | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (error instanceof LinuxError && error.errno !== undefined) return error.errno
    throw error
  }
}

function placeError(path: string, errno: ErrnoName): LinuxError {
  return failureOf(ERRNO[errno], 'bind', path, REMEDIES[errno])
}
