/**
 * Control messages of devmem TCP as 64-bit Linux lays them out: a cmsghdr, then a struct dmabuf_cmsg,
 * each message aligned to 8 bytes (Linux, include/uapi/linux/uio.h, include/linux/socket.h).
 */

/** Level of devmem TCP's control messages. */
export const SOL_SOCKET = 1
/** Payload that is in the iovec, because it arrived with the headers. */
export const SCM_DEVMEM_LINEAR = 78
/** Payload that is in device memory. The message has its place and its token. */
export const SCM_DEVMEM_DMABUF = 79

// struct cmsghdr
const CMSG_LEN = 0
const CMSG_LEVEL = 8
const CMSG_TYPE = 12
const HEADER_BYTES = 16
// struct dmabuf_cmsg
const FRAG_OFFSET = 0
const FRAG_SIZE = 8
const FRAG_TOKEN = 12
const DMABUF_ID = 16
const FLAGS = 20
const DATA_BYTES = 24
const ALIGN = 8

/** Bytes of either message (CMSG_SPACE): a shorter control buffer has no room for any. */
export const DEVMEM_CMSG_SPACE = 40

/** A control message, as {@link parseControl} reads it. */
export type ControlMessage =
  | {
      readonly kind: 'linear'
      /** Bytes of payload in the iovec. */
      readonly fragSize: number
    }
  | {
      readonly kind: 'dmabuf'
      /** Bytes from the dma-buf's start. */
      readonly fragOffset: number
      /** Bytes of payload there. */
      readonly fragSize: number
      /** Number that gives the memory back. */
      readonly fragToken: number
      /** Number of the binding. */
      readonly dmabufId: number
      /** 0: the kernel defines none. */
      readonly flags: number
    }
  /** A message of another protocol, or an invalid one of devmem TCP. */
  | {
      readonly kind: 'other'
      /** Protocol of the message, such as {@link SOL_SOCKET}. */
      readonly level: number
      /** Type of the message within its protocol. */
      readonly type: number
      /** Bytes behind the header: a view of the control buffer. */
      readonly data: Uint8Array
    }

/** Writes a LINEAR message at byte `at` of `control`, which has {@link DEVMEM_CMSG_SPACE} bytes there. */
export function writeLinear(control: Uint8Array, at: number, fragSize: number): void {
  writeMessage(control, at, SCM_DEVMEM_LINEAR, 0, fragSize, 0, 0)
}

/** Writes a DMABUF message at byte `at` of `control`, which has {@link DEVMEM_CMSG_SPACE} bytes there. */
export function writeDmaBuf(
  control: Uint8Array,
  at: number,
  fragOffset: number,
  fragSize: number,
  fragToken: number,
  dmabufId: number,
): void {
  writeMessage(control, at, SCM_DEVMEM_DMABUF, fragOffset, fragSize, fragToken, dmabufId)
}

/**
 * Reads the messages in the first `controlBytes` of `control`, by default in all of it. Ends, as
 * CMSG_NXTHDR does, at the first that is cut or shorter than its header. Never throws, and never
 * reads outside of `control`.
 */
export function parseControl(
  control: Uint8Array,
  controlBytes: number = control.length,
): ControlMessage[] {
  const end = Math.min(controlBytes, control.length)
  const messages: ControlMessage[] = []
  let at = 0
  while (at + HEADER_BYTES <= end) {
    const bytes = get64(control, at + CMSG_LEN)
    if (bytes < HEADER_BYTES || bytes > end - at) break
    messages.push(parseMessage(control.subarray(at, at + bytes)))
    at += Math.ceil(bytes / ALIGN) * ALIGN
  }
  return messages
}

function parseMessage(message: Uint8Array): ControlMessage {
  const level = get32(message, CMSG_LEVEL) | 0
  const type = get32(message, CMSG_TYPE) | 0
  const data = message.subarray(HEADER_BYTES)
  const isDevmem = level === SOL_SOCKET && data.length === DATA_BYTES
  const fragSize = get32(data, FRAG_SIZE)
  if (isDevmem && type === SCM_DEVMEM_LINEAR) return { kind: 'linear', fragSize }
  const fragOffset = get64(data, FRAG_OFFSET)
  if (isDevmem && type === SCM_DEVMEM_DMABUF && Number.isSafeInteger(fragOffset)) {
    const fragToken = get32(data, FRAG_TOKEN)
    const dmabufId = get32(data, DMABUF_ID)
    const flags = get32(data, FLAGS)
    return { kind: 'dmabuf', fragOffset, fragSize, fragToken, dmabufId, flags }
  }
  return { kind: 'other', level, type, data }
}

function writeMessage(
  control: Uint8Array,
  at: number,
  type: number,
  fragOffset: number,
  fragSize: number,
  fragToken: number,
  dmabufId: number,
): void {
  set64(control, at + CMSG_LEN, HEADER_BYTES + DATA_BYTES)
  set32(control, at + CMSG_LEVEL, SOL_SOCKET)
  set32(control, at + CMSG_TYPE, type)
  const data = at + HEADER_BYTES
  set64(control, data + FRAG_OFFSET, fragOffset)
  set32(control, data + FRAG_SIZE, fragSize)
  set32(control, data + FRAG_TOKEN, fragToken)
  set32(control, data + DMABUF_ID, dmabufId)
  set32(control, data + FLAGS, 0)
}

// Little-endian, as every 64-bit machine that the kernel has devmem TCP on. A DataView would be an
// object for each call.
function set32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

function set64(bytes: Uint8Array, at: number, value: number): void {
  set32(bytes, at, value | 0)
  set32(bytes, at + 4, Math.floor(value / 2 ** 32))
}

function get32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
  return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
}

function get64(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + 4) * 2 ** 32 + get32(bytes, at)
}
