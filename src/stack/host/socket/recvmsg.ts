/** Calls of `recvmsg` over what a socket has queued (Linux, tcp_recvmsg_locked, tcp_recvmsg_dmabuf). */

import type { NetIov } from '../../../netmem.ts'
import { DEVMEM_CMSG_SPACE, writeDmaBuf, writeLinear } from '../../../wire/control-messages.ts'
import { DeviceError } from '../../device-error.ts'
import type { Skb } from '../skb/skb.ts'
import type { ReceivedMessage } from './messages.ts'
import { isReadable } from './receive-queue.ts'
import type { Scatter } from './scatter.ts'
import type { SocketReader } from './socket-reader.ts'

/** Copies readable payload into the iovec, up to the first unreadable skb. A peek leaves it in the queue. Returns its bytes. */
export function readReadable(reader: SocketReader, target: Scatter, peek: boolean): number {
  const { queue } = reader
  let bytes = 0
  let ahead = 0
  while (target.room > 0) {
    const skb = queue.peek(ahead)
    if (skb === undefined || !isReadable(skb)) break
    const part = target.copy(skb, ahead === 0 ? queue.consumed : 0, skb.payloadLength)
    bytes += part
    if (peek) ahead++
    else reader.readHost(part)
  }
  return bytes
}

/**
 * Reads skbs of device memory: one control message for each frag, or for linear bytes that are copied.
 *
 * @throws NETMEM_CONTROL_SPACE if no message fits, and what {@link SocketReader} throws at the first.
 */
export function readUnreadable(
  reader: SocketReader,
  target: Scatter,
  control: Uint8Array,
): ReceivedMessage {
  let bytes = 0
  let controlBytes = 0
  while (target.room > 0) {
    const skb = reader.queue.first
    if (skb === undefined || skb.kind !== 'net_iov' || isReadable(skb)) break
    // The usual end of a call, so it is no exception.
    if (controlBytes + DEVMEM_CMSG_SPACE > control.length) {
      if (bytes === 0) throw controlSpace()
      break
    }
    try {
      bytes += readPart(reader, skb, target, control, controlBytes)
    } catch (error) {
      if (bytes === 0) throw error
      break
    }
    controlBytes += DEVMEM_CMSG_SPACE
  }
  return { bytes, controlBytes, flags: 0 }
}

/** Reads the payload of one control message. Returns its bytes. */
function readPart(
  reader: SocketReader,
  skb: Skb<NetIov>,
  target: Scatter,
  control: Uint8Array,
  at: number,
): number {
  const { queue } = reader
  if (queue.locate(skb)) {
    const { offset, length, token, binding } = reader.readDevice(skb, target.room)
    target.room -= length
    writeDmaBuf(control, at, offset, length, token, binding.id)
    return length
  }
  reader.checkStrict()
  const linear = target.copy(skb, queue.consumed, skb.headLength - skb.payloadOffset)
  writeLinear(control, at, linear)
  reader.readHost(linear)
  return linear
}

function controlSpace(): DeviceError {
  return new DeviceError(
    'NETMEM_CONTROL_SPACE',
    'ETOOSMALL',
    `Not even one control message fits. Give control ${DEVMEM_CMSG_SPACE} bytes for each frag of a call.`,
  )
}
