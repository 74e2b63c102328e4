/**
 * The control messages of devmem TCP as 64-bit Linux lays them out, both ways: a cmsghdr of 16
 * bytes, then the data, each message aligned to 8 (include/uapi/linux/uio.h, struct dmabuf_cmsg).
 * Pure functions over bytes.
 */

export const SOL_SOCKET = 1
/** Payload that is in the iovec: bytes that landed with the headers. */
export const SCM_DEVMEM_LINEAR = 78
/** Payload that is in device memory: where, and by which token. */
export const SCM_DEVMEM_DMABUF = 79

/** CMSG_SPACE of either message: the least that a control buffer is good for. */
export const DEVMEM_CMSG_SPACE = 40

const HEADER_BYTES = 16
const DMABUF_CMSG_BYTES = 24
const ALIGN = 8

/** What a control message says. */
export type ControlMessage =
  | { readonly kind: 'linear'; readonly fragSize: number }
  | {
      readonly kind: 'dmabuf'
      /** Bytes from the dma-buf's start. */
      readonly fragOffset: number
      readonly fragSize: number
      readonly fragToken: number
      readonly dmabufId: number
      readonly flags: number
    }
  /** Somebody else's, or one of ours that makes no sense. */
  | {
      readonly kind: 'other'
      readonly level: number
      readonly type: number
      readonly data: Uint8Array
    }

/** Writes a LINEAR message at byte `at` of `control`, which has {@link DEVMEM_CMSG_SPACE} bytes there. */
export function putLinear(control: Uint8Array, at: number, fragSize: number): void {
  putDevmem(control, at, SCM_DEVMEM_LINEAR, 0, fragSize, 0, 0)
}

/** Writes a DMABUF message at byte `at` of `control`, which has {@link DEVMEM_CMSG_SPACE} bytes there. */
export function putDmaBuf(
  control: Uint8Array,
  at: number,
  fragOffset: number,
  fragSize: number,
  fragToken: number,
  dmabufId: number,
): void {
  putDevmem(control, at, SCM_DEVMEM_DMABUF, fragOffset, fragSize, fragToken, dmabufId)
}

/**
 * The messages in the first `controlBytes` of `control`; all of it by default. Ends, as CMSG_NXTHDR
 * does, at the first that is cut or shorter than its header. Never throws and never reads outside.
 */
export function parseControl(
  control: Uint8Array,
  controlBytes: number = control.length,
): ControlMessage[] {
  const end = Math.min(controlBytes, control.length)
  const messages: ControlMessage[] = []
  let at = 0
  while (at + HEADER_BYTES <= end) {
    const bytes = u64(control, at)
    if (bytes < HEADER_BYTES || bytes > end - at) break
    messages.push(parseOne(control.subarray(at, at + bytes)))
    at += Math.ceil(bytes / ALIGN) * ALIGN
  }
  return messages
}

function parseOne(message: Uint8Array): ControlMessage {
  const level = u32(message, 8) | 0
  const type = u32(message, 12) | 0
  const data = message.subarray(HEADER_BYTES)
  const ours = level === SOL_SOCKET && data.length === DMABUF_CMSG_BYTES
  if (ours && type === SCM_DEVMEM_LINEAR) return { kind: 'linear', fragSize: u32(data, 8) }
  const fragOffset = ours ? u64(data, 0) : -1
  if (ours && type === SCM_DEVMEM_DMABUF && Number.isSafeInteger(fragOffset)) {
    return {
      kind: 'dmabuf',
      fragOffset,
      fragSize: u32(data, 8),
      fragToken: u32(data, 12),
      dmabufId: u32(data, 16),
      flags: u32(data, 20),
    }
  }
  return { kind: 'other', level, type, data }
}

function putDevmem(
  control: Uint8Array,
  at: number,
  type: number,
  fragOffset: number,
  fragSize: number,
  fragToken: number,
  dmabufId: number,
): void {
  put64(control, at, HEADER_BYTES + DMABUF_CMSG_BYTES)
  put32(control, at + 8, SOL_SOCKET)
  put32(control, at + 12, type)
  put64(control, at + 16, fragOffset)
  put32(control, at + 24, fragSize)
  put32(control, at + 28, fragToken)
  put32(control, at + 32, dmabufId)
  put32(control, at + 36, 0)
}

// Little-endian, as every 64-bit machine that the kernel has devmem TCP on. A DataView would be an
// object for each call.
function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

function put64(bytes: Uint8Array, at: number, value: number): void {
  put32(bytes, at, value | 0)
  put32(bytes, at + 4, Math.floor(value / 2 ** 32))
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)) >>>
    0
  )
}

function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at + 4) * 2 ** 32 + u32(bytes, at)
}
