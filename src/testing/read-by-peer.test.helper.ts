/** Waiting until the other end of a TCP connection has read, in tests. Not published. */

import { existsSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { until } from './waiting.test.helper.ts'

const TCP_TABLE = '/proc/net/tcp'
/** Bytes are told in hexadecimal: as a decimal number 000000E1 would be 0. */
const NONE = '00000000'

/** False, or why a test with {@link readByPeer} is to be skipped. */
export const noTcpTable: false | string =
  !existsSync(TCP_TABLE) && `what another process has read is in ${TCP_TABLE} (Linux)`

/** Waits until the other end of an IPv4 connection has read all that was written, or is gone. */
export async function readByPeer(socket: Socket): Promise<void> {
  const port = (number = 0): string => number.toString(16).toUpperCase().padStart(4, '0')
  const [local, remote] = [port(socket.localPort), port(socket.remotePort)]
  // proc(5): the addresses of both ends, the state, and what waits to be sent and to be read.
  const row = (from: string, to: string): RegExp =>
    new RegExp(`:${from} \\w+:${to} \\w+ (\\w+):(\\w+)`)
  await until(() => {
    const table = readFileSync(TCP_TABLE, 'utf8')
    const unsent = row(local, remote).exec(table)?.[1] ?? NONE
    const unread = row(remote, local).exec(table)?.[2] ?? NONE
    return socket.writableLength === 0 && unsent === NONE && unread === NONE
  }, 'the other end has read all')
}
