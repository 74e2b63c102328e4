/** SO_RCVLOWAT: bytes that a socket must have before the kernel wakes its reader. */

import { SO_RCVLOWAT, SOL_SOCKET } from './sys/constants.ts'
import { loadLibc } from './sys/libc.ts'
import { LinuxError } from './sys/linux-error.ts'
import { isFd } from './sys/owned-fd.ts'
import { setsockoptInt } from './sys/sockets.ts'

/**
 * Makes the value of the `wakeBatching` option of `netmem/net` and `netmem/http`: a function that sets
 * a socket's low-water mark for receiving (socket(7)), in bytes, and returns false if the socket has
 * none. With it the kernel wakes a fast connection for megabytes at a time instead of for every
 * segment. That saves CPU at both ends. Pages of 4 MiB take as much in one read.
 *
 * The first call of a thread loads koffi. A worker that is terminated during that call aborts the
 * whole process.
 *
 * @throws NETMEM_LINUX_UNAVAILABLE, as a rejection, if this is not Linux or koffi is missing.
 *
 * @example
 * ```ts
 * import { connect } from 'netmem/net'
 * import { wakeBatching } from 'netmem/linux'
 *
 * const connection = await connect({ pool, port: 5201, wakeBatching: await wakeBatching() })
 * for await (const frag of connection) frag.release()
 * ```
 */
export async function wakeBatching(): Promise<(fd: number, bytes: number) => boolean> {
  loadLibc()
  return (fd, bytes) => {
    if (!isFd(fd)) return false
    try {
      setsockoptInt(fd, SOL_SOCKET, SO_RCVLOWAT, bytes)
      return true
    } catch (error) {
      if (error instanceof LinuxError) return false
      throw error
    }
  }
}
