/** SO_RCVLOWAT: how much a socket must have before anybody is woken for it. */

import { libc } from './libc.ts'

/** K: include/uapi/asm-generic/socket.h, which all but alpha, mips, parisc and sparc use. */
const SOL_SOCKET = 1
const SO_RCVLOWAT = 18

const value = new Int32Array(1)

/**
 * What the `wakeBatching` option of `netmem/net` and `netmem/http` takes: sets a socket's low-water mark
 * for receiving (socket(7)), in bytes; false where the socket has none. With it a connection that
 * carries a lot is woken for megabytes at a time, not for every segment, which saves CPU on
 * both sides of a fast path; pages of 4 MiB take that in one read.
 *
 * Do not terminate a worker before the promise of its first call has settled: the first call loads
 * koffi, which aborts the whole process when its thread is terminated meanwhile.
 *
 * @throws NETMEM_LINUX_UNAVAILABLE, as a rejection, where this is not Linux or koffi is missing.
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
  const { setsockopt } = await libc()
  return (fd, bytes) => {
    value[0] = bytes
    return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, value, value.byteLength) === 0
  }
}
