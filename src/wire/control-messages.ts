/**
 * Control messages of devmem TCP as 64-bit Linux lays them out: a cmsghdr, then a struct dmabuf_cmsg,
 * each message aligned to 8 bytes (Linux, include/uapi/linux/uio.h, include/linux/socket.h).
 */

/** Level of devmem TCP's control messages. */
export const SOL_SOCKET = 1
/** Flag of `recvmsg`: takes device memory, as control messages. */
export const MSG_SOCK_DEVMEM = 0x2000000
/** Payload that is in the iovec, because it arrived with the headers. */
export const SCM_DEVMEM_LINEAR = 78
/** Payload that is in device memory. The message has its place and its token. */
export const SCM_DEVMEM_DMABUF = 79

// struct cmsghdr
const CMSG_LEN = 0
const CMSG_LEVEL = 8
const CMSG_TYPE = 12
const HEADER_BYTES = 16
/** struct dmabuf_cmsg. */
export const DMABUF_CMSG = {
  BYTES: 24,
  FRAG_OFFSET: 0,
  FRAG_SIZE: 8,
  FRAG_TOKEN: 12,
  DMABUF_ID: 16,
  FLAGS: 20,
} as const
const { FRAG_OFFSET, FRAG_SIZE, FRAG_TOKEN, DMABUF_ID, FLAGS, BYTES: DATA_BYTES } = DMABUF_CMSG
const ALIGN = 8
/** High word of the largest number that is exact. */
const MAX_HIGH_WORD = 2 ** 21 - 1
const NOTHING = new Uint8Array(0)

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
      /** 0, since the kernel defines no flags. */
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
 * Reads control messages one after the other, and makes no garbage. Ends, as CMSG_NXTHDR does, at the
 * first that is cut or shorter than its header. Never throws, and never reads outside of the buffer.
 *
 * @example
 * ```ts
 * import { ControlReader, writeDmaBuf } from 'netmem/stack/wire'
 *
 * const control = new Uint8Array(40)
 * writeDmaBuf(control, 0, 4096, 1448, 7, 1)
 * const reader = new ControlReader()
 * reader.start(control, control.length)
 * while (reader.next()) console.log(reader.kind, reader.fragOffset, reader.fragToken)
 * ```
 */
export class ControlReader {
  /** Kind of the present message, one of the kinds of {@link ControlMessage}. */
  kind: ControlMessage['kind'] = 'other'
  /** Protocol of the message, such as {@link SOL_SOCKET}. */
  level = 0
  /** Type of the message within its protocol. */
  type = 0
  /** Offset of the bytes behind the header in the buffer. */
  dataAt = 0
  /** Number of those bytes. */
  dataBytes = 0
  /** Bytes from the dma-buf's start. 0 unless `dmabuf`. */
  fragOffset = 0
  /** Bytes of payload. 0 for `other`. */
  fragSize = 0
  /** Number that gives the memory back. 0 unless `dmabuf`. */
  fragToken = 0
  /** Number of the binding. 0 unless `dmabuf`. */
  dmabufId = 0
  /** Flags of a `dmabuf` message. The kernel defines none. */
  flags = 0
  #control: Uint8Array = NOTHING
  #view: DataView = new DataView(NOTHING.buffer)
  #at = 0
  #end = 0

  /** Begins with the messages in the first `controlBytes` of `control`. */
  start(control: Uint8Array, controlBytes: number): void {
    // One buffer serves many calls of its socket, so its view does too. Reads stay below #end.
    if (control !== this.#control) {
      this.#control = control
      this.#view = new DataView(control.buffer, control.byteOffset)
    }
    this.#at = 0
    this.#end = Math.min(controlBytes, control.length)
  }

  /** Reads the next message. Returns false if there is none. */
  next(): boolean {
    const view = this.#view
    const at = this.#at
    if (at + HEADER_BYTES > this.#end) return false
    // No buffer is as long as the high word counts. Without it all that follows stays an integer.
    if (view.getInt32(at + CMSG_LEN + 4, true) !== 0) return false
    const bytes = view.getUint32(at + CMSG_LEN, true)
    if (bytes < HEADER_BYTES || bytes > this.#end - at) return false
    this.#at = at + bytes + (-bytes & (ALIGN - 1))
    this.level = view.getInt32(at + CMSG_LEVEL, true)
    this.type = view.getInt32(at + CMSG_TYPE, true)
    const data = at + HEADER_BYTES
    this.dataAt = data
    this.dataBytes = bytes - HEADER_BYTES
    this.kind = 'other'
    this.fragOffset = 0
    this.fragSize = 0
    this.fragToken = 0
    this.dmabufId = 0
    this.flags = 0
    if (this.level === SOL_SOCKET && this.dataBytes === DATA_BYTES) this.#readDevmem(view, data)
    return true
  }

  /** Reads 32 bits at byte `at` of the present message's data. */
  data32(at: number): number {
    const from = this.dataAt + at
    return from + 4 <= this.#end ? this.#view.getUint32(from, true) : 0
  }

  #readDevmem(view: DataView, data: number): void {
    if (this.type === SCM_DEVMEM_LINEAR) {
      this.kind = 'linear'
      this.fragSize = view.getUint32(data + FRAG_SIZE, true)
      return
    }
    if (this.type !== SCM_DEVMEM_DMABUF || !this.#readOffset(view, data + FRAG_OFFSET)) return
    this.kind = 'dmabuf'
    this.fragSize = view.getUint32(data + FRAG_SIZE, true)
    this.fragToken = view.getUint32(data + FRAG_TOKEN, true)
    this.dmabufId = view.getUint32(data + DMABUF_ID, true)
    this.flags = view.getUint32(data + FLAGS, true)
  }

  /** Reads 64 bits. Returns false if no number holds them exactly. */
  #readOffset(view: DataView, at: number): boolean {
    const low = view.getUint32(at, true)
    const high = view.getUint32(at + 4, true)
    // An offset below 4 GiB stays an integer: the engine makes garbage of floating-point numbers.
    if (high === 0) this.fragOffset = low
    else if (high <= MAX_HIGH_WORD) this.fragOffset = high * 2 ** 32 + low
    return high <= MAX_HIGH_WORD
  }
}

/**
 * Reads the messages in the first `controlBytes` of `control`, by default in all of it, as
 * {@link ControlReader} does.
 */
export function parseControl(
  control: Uint8Array,
  controlBytes: number = control.length,
): ControlMessage[] {
  const reader = new ControlReader()
  reader.start(control, controlBytes)
  const messages: ControlMessage[] = []
  while (reader.next()) messages.push(messageOf(reader, control))
  return messages
}

function messageOf(reader: ControlReader, control: Uint8Array): ControlMessage {
  const { kind, fragOffset, fragSize, fragToken, dmabufId, flags, level, type } = reader
  if (kind === 'linear') return { kind, fragSize }
  if (kind === 'dmabuf') return { kind, fragOffset, fragSize, fragToken, dmabufId, flags }
  const { dataAt, dataBytes } = reader
  return { kind, level, type, data: control.subarray(dataAt, dataAt + dataBytes) }
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
