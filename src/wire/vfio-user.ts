/**
 * Messages of the vfio-user protocol, version 0.0, little-endian: their layouts, and a framer that cuts a
 * stream into them. Bodies have the layouts of the kernel's VFIO calls (K: include/uapi/linux/vfio.h).
 * They follow the header of QEMU's docs/interop/vfio-user.rst.
 */

/** Header of every message. `SIZE` counts the header too. */
export const VFIO_USER_HEADER = {
  BYTES: 16,
  ID: 0,
  COMMAND: 2,
  SIZE: 4,
  FLAGS: 8,
  ERRNO: 12,
} as const

/** Numbers of the commands. */
export const VFIO_USER = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_REGION_IO_FDS: 6,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  DIRTY_PAGES: 14,
} as const

/** Flags of a header: the low four bits are the type. */
export const VFIO_USER_FLAGS = {
  TYPE: 15,
  REQUEST: 0,
  REPLY: 1,
  NO_REPLY: 0x10,
  ERROR: 0x20,
} as const

/** Body of a DMA map. */
export const DMA_MAP = { BYTES: 32, FLAGS: 4, OFFSET: 8, ADDRESS: 16, SIZE: 24 } as const
export const DMA_MAP_READ = 1
export const DMA_MAP_WRITE = 2

/** Body of a DMA unmap. */
export const DMA_UNMAP = { BYTES: 24, FLAGS: 4, ADDRESS: 8, SIZE: 16 } as const
export const DMA_UNMAP_ALL = 2

/** Body of device information. */
export const DEVICE_INFO = { BYTES: 16, FLAGS: 4, REGIONS: 8, IRQS: 12 } as const
export const DEVICE_INFO_RESET = 1
export const DEVICE_INFO_PCI = 2

/** Body of information about a region. */
export const REGION_INFO = { BYTES: 32, FLAGS: 4, INDEX: 8, SIZE: 16 } as const
export const REGION_INFO_READ = 1
export const REGION_INFO_WRITE = 2

/** Regions of a PCI device: the BARs are 0 to 5. */
export const PCI_BARS = 6
export const PCI_CONFIG_REGION = 7
export const PCI_REGIONS = 9

/** Body of information about interrupts. */
export const IRQ_INFO = { BYTES: 16, FLAGS: 4, INDEX: 8, COUNT: 12 } as const
export const IRQ_INFO_EVENTFD = 1
export const IRQ_INFO_NORESIZE = 8

/** Interrupts of a PCI device by index. */
export const PCI_MSIX_IRQ = 2
export const PCI_IRQS = 5

/** Body of an interrupt setting, before its data. */
export const SET_IRQS = { BYTES: 20, FLAGS: 4, INDEX: 8, START: 12, COUNT: 16 } as const
export const SET_IRQS_NONE = 1
export const SET_IRQS_BOOL = 2
export const SET_IRQS_EVENTFD = 4
export const SET_IRQS_DATA = 7
export const SET_IRQS_TRIGGER = 0x20

/** Body of a region's read or write, before its data. */
export const REGION_ACCESS = { BYTES: 16, OFFSET: 0, REGION: 8, COUNT: 12 } as const

/** Longest message that a framer takes. */
export const MAX_MESSAGE_BYTES: number = 16 * 1024
/** Bytes that a framer holds, for many short messages. */
const FRAMER_BYTES = 64 * 1024

/** Result of a framer's look for a message. */
export type Framed = 'message' | 'incomplete' | 'malformed'

/**
 * Cuts a stream into messages. The caller receives at most `room` bytes into `bytes` from `end` on, and
 * reports them with `received()`. Then `next()` finds one message after the other. Does not allocate.
 */
export class VfioUserFramer {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView<ArrayBuffer>
  /** Fields of the message that `next()` found. */
  id = 0
  command = 0
  flags = 0
  /** Place and length of that message's body in `bytes`. */
  bodyAt = 0
  bodyBytes = 0
  #start = 0
  #end = 0
  /** Bytes of the stream before `bytes`. */
  #passed = 0

  constructor() {
    this.bytes = new Uint8Array(new ArrayBuffer(FRAMER_BYTES))
    this.view = new DataView(this.bytes.buffer)
  }

  /** Byte of `bytes` where the next bytes of the stream go. */
  get end(): number {
    return this.#end
  }

  /** Bytes that fit at `end`: never 0 once `next()` has returned `incomplete`. */
  get room(): number {
    return FRAMER_BYTES - this.#end
  }

  /** Bytes of the stream so far. */
  get streamBytes(): number {
    return this.#passed + this.#end
  }

  /** Byte of the stream where the message ends that `next()` found. */
  get messageEnd(): number {
    return this.#passed + this.#start
  }

  /** Adds bytes that were received at `end`. */
  received(bytes: number): void {
    this.#end += bytes
  }

  /** Finds the next message. A malformed stream has no further messages. */
  next(): Framed {
    const left = this.#end - this.#start
    if (left < VFIO_USER_HEADER.BYTES) return this.#incomplete()
    const { view } = this
    const start = this.#start
    const size = view.getUint32(start + VFIO_USER_HEADER.SIZE, true)
    if (size < VFIO_USER_HEADER.BYTES || size > MAX_MESSAGE_BYTES) return 'malformed'
    if (left < size) return this.#incomplete()
    this.id = view.getUint16(start + VFIO_USER_HEADER.ID, true)
    this.command = view.getUint16(start + VFIO_USER_HEADER.COMMAND, true)
    this.flags = view.getUint32(start + VFIO_USER_HEADER.FLAGS, true)
    this.bodyAt = start + VFIO_USER_HEADER.BYTES
    this.bodyBytes = size - VFIO_USER_HEADER.BYTES
    this.#start += size
    return 'message'
  }

  #incomplete(): 'incomplete' {
    if (this.#start > 0) {
      this.bytes.copyWithin(0, this.#start, this.#end)
      this.#passed += this.#start
      this.#end -= this.#start
      this.#start = 0
    }
    return 'incomplete'
  }
}

/** Reads 64 bits as a number. Values of 2^53 and above are not exact, and stay that large. */
export function readUint64(view: DataView, at: number): number {
  // BigInts would be garbage, and 3 to 20 times as slow.
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}

/** Writes 64 bits, of a number up to 2^53 − 1. */
export function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}
