/** Helpers of the tests of the devmem socket. Not published. */

import assert from 'node:assert/strict'
import { end } from '../../../testing/pools.test.helper.ts'
import {
  type ControlMessage,
  DEVMEM_CMSG_SPACE,
  parseControl,
} from '../../../wire/control-messages.ts'
import { type DeviceErrno, DeviceError } from '../../device-error.ts'
import type { IovSource, PageSource, Piece } from '../skb/skbs.test.helper.ts'
import type { DevmemSocket } from './devmem-socket.ts'
import { MSG_SOCK_DEVMEM } from './messages.ts'

export interface Received {
  readonly bytes: number
  readonly data: Uint8Array
  readonly messages: ControlMessage[]
}

/** One call with an iovec of `length` bytes and room for `messages` control messages. */
export function recv(
  socket: DevmemSocket,
  length: number,
  messages = 64,
  flags: number = MSG_SOCK_DEVMEM,
): Received {
  const control = new Uint8Array(messages * DEVMEM_CMSG_SPACE + 39)
  const data = new Uint8Array(length)
  // The iovec has two parts, of which one may be empty.
  const iov = [data.subarray(0, length >> 1), data.subarray(length >> 1)]
  const received = socket.recvmsg({ iov, control, flags })
  assert.equal(received.flags, 0)
  return { bytes: received.bytes, data, messages: parseControl(control, received.controlBytes) }
}

export function errnoOf(action: () => unknown): DeviceErrno {
  try {
    action()
  } catch (error) {
    if (error instanceof DeviceError) return error.errno
  }
  return assert.fail('not a DeviceError')
}

export function iovPiece(netmem: number, length: number, offset = 0): Piece {
  return { netmem, offset, length }
}

export async function endAll(...sources: (PageSource | IovSource)[]): Promise<void> {
  await end(...sources.map(({ pool }) => pool))
}
