/** Calls of `recvmsg` over what a socket has queued (Linux, tcp_recvmsg_locked, tcp_recvmsg_dmabuf). */

import type { NetIov } from '../../../netmem.ts'
import { DEVMEM_CMSG_SPACE, writeDmaBuf, writeLinear } from '../../../wire/control-messages.ts'
import { DeviceError } from '../../device-error.ts'
import type { Skb } from '../skb/skb.ts'
import type { ReceivedMessage } from './messages.ts'
import { isReadable } from './receive-queue.ts'
import type { Scatter } from './scatter.ts'
import type { SocketReader } from './socket-reader.ts'

/** Copies readable payload into the iovec, up to the first unreadable skb. Returns its bytes. */
export function readReadable(reader: SocketReader, target: Scatter): number {
  const { queue } = reader
  let bytes = 0
  while (target.room > 0) {
    const skb = queue.first
    if (skb === undefined || !isReadable(skb)) break
    const part = target.copy(skb, queue.consumed, skb.payloadLength)
    bytes += part
    reader.readHost(part)
  }
  return bytes
}

/** Copies readable payload as {@link readReadable} does, and leaves it in the queue. */
export function peekReadable({ queue }: SocketReader, target: Scatter): number {
  let bytes = 0
  for (let ahead = 0; target.room > 0; ahead++) {
    const skb = queue.peek(ahead)
    if (skb === undefined || !isReadable(skb)) break
    bytes += target.copy(skb, ahead === 0 ? queue.consumed : 0, skb.payloadLength)
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
  const iov = queue.locate(skb) ? skb.frags[queue.fragAt] : undefined
  if (iov === undefined) {
    reader.checkStrict()
    const linear = target.copy(skb, queue.consumed, skb.headLength - skb.payloadOffset)
    writeLinear(control, at, linear)
    reader.readHost(linear)
    return linear
  }
  const place = reader.placeForToken(iov)
  const { fragAt, fragSkip } = queue
  const offset = place.offset + (skb.offsets[fragAt] ?? 0) + fragSkip
  const bytes = Math.min((skb.lengths[fragAt] ?? 0) - fragSkip, target.room)
  target.room -= bytes
  writeDmaBuf(control, at, offset, bytes, reader.mint(skb, bytes), place.binding.id)
  return bytes
}

function controlSpace(): DeviceError {
  return new DeviceError(
    'NETMEM_CONTROL_SPACE',
    'ETOOSMALL',
    `Not even one control message fits. Give control ${DEVMEM_CMSG_SPACE} bytes for each frag of a call.`,
  )
}
