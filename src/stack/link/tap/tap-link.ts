/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A link to the kernel's own stack: a TAP interface. The kernel sees an Ethernet interface. Each frame
 * that the kernel sends there arrives here, and each one sent here arrives there.
 */

import {
  ArgumentRangeError,
  ArgumentTypeError,
  checkInteger,
  type OptionNames,
  ownOptions,
} from '../../../errors.ts'
import { IFNAMSIZ } from '../../../linux/sys/constants.ts'
import { LinuxError } from '../../../linux/sys/linux-error.ts'
import { SocketMessage } from '../../../linux/sys/messages.ts'
import type { Fd, OwnedFd } from '../../../linux/sys/owned-fd.ts'
import { interfaceMtu } from '../../../linux/sys/tun.ts'
import { foldSum } from '../../../wire/checksum.ts'
import { ETHERNET_HEADER_BYTES } from '../../../wire/ethernet.ts'
import { checksumOffset } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory, type FrameMemory } from '../../../wire/frame-memory.ts'
import {
  parseVirtioNet,
  VIRTIO_NET_HDR,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VirtioNetHeader,
} from '../../../wire/virtio-net.ts'
import { DeviceError } from '../../device-error.ts'
import {
  emptyFrame,
  type FramePieces,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  ORDINARY_FRAMES,
} from '../link.ts'
import { openQueues } from './open-queues.ts'
import { TapSender } from './tap-sender.ts'

/** Most bytes of an Ethernet payload of a TAP interface. K: drivers/net/tun.c, MAX_MTU. */
const MAX_MTU = 65_535 - ETHERNET_HEADER_BYTES
/** Least MTU of Ethernet. K: include/uapi/linux/if_ether.h, ETH_MIN_MTU. */
const MIN_MTU = 68
/** Most queues of a TAP interface. K: drivers/net/tun.c, MAX_TAP_QUEUES. */
const MAX_QUEUES = 256

/** Place of frames in the memory, behind their virtio-net header. */
const FRAME_AT = 16
const HEADER_AT: number = FRAME_AT - VIRTIO_NET_HDR.BYTES
/** Bytes of the memory: a large frame of the kernel has 64 KiB and its headers at most. */
const MEMORY_BYTES = 2 ** 17

/** Frames that are read from one queue before the next one's turn, as many as a NAPI poll handles. */
const QUEUE_BUDGET = 64

const OFFLOADED_FRAMES: LinkFeatures = { largeFrames: true, partialChecksums: true }

const GSO_TYPE_MASK: number = 0xff & ~VIRTIO_NET_HDR_GSO_ECN

const NO_DESCRIPTORS: readonly Fd[] = []

/** Options of {@link createTapLink}. */
export interface TapOptions {
  /**
   * Name of the interface, 1 to 15 bytes. One that exists is used, and otherwise one is made that
   * goes with the link. The kernel puts a number in the place of `%d`.
   */
  readonly name: string
  /** Bytes of the largest IP packet: 68 to 65,521. By default the interface keeps its own. */
  readonly mtu?: number
  /**
   * Queues of the interface: 1 to 256. 1 by default. All frames of a flow are sent on one queue, and
   * the kernel sends its answers on that one.
   */
  readonly queues?: number
  /** True, the default, if large frames and partial checksums pass both ways. */
  readonly offload?: boolean
}

const NAMES: OptionNames<TapOptions> = { name: true, mtu: true, queues: true, offload: true }

/**
 * Opens a TAP interface in the network namespace of this thread. `ip link set NAME up` and an address
 * are the caller's to give.
 *
 * Frames arrive when `receive` asks the kernel. A thread that waits for them polls the link's
 * `descriptors`.
 *
 * @throws NETMEM_TAP_UNAVAILABLE without /dev/net/tun, without koffi, and where this is not Linux.
 * @throws NETMEM_TAP_PERMISSION without CAP_NET_ADMIN, and for a /dev/net/tun that the user may not open.
 * @throws NETMEM_TAP_NAME_TAKEN if another program has the interface, or it is no such TAP interface.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range.
 */
export function createTapLink(options: TapOptions): TapLink {
  return new TapLink(options)
}

/** A TAP interface: see {@link createTapLink}. */
export class TapLink implements Link {
  /** Name of the interface. */
  readonly name: string
  readonly features: LinkFeatures
  /**
   * The kernel's reason not to hand over large frames and partial checksums, which it finishes itself
   * then. `undefined` if it hands them over, or was not asked.
   */
  readonly offloadRefusal: string | undefined
  /** Frames received. A large frame counts once. */
  rx_packets = 0
  /** Frames that the kernel took. */
  tx_packets = 0
  /** Frames that the kernel refused, as it does while the interface is down. */
  tx_dropped = 0
  readonly #queues: readonly OwnedFd[]
  readonly #descriptors: readonly Fd[]
  readonly #sender: TapSender
  readonly #memory: FrameMemory
  readonly #frame: LinkFrame
  readonly #read = new SocketMessage()
  readonly #header = new VirtioNetHeader()
  readonly #layout = new FrameLayout()
  /** Index of the queue that is read, and frames that may still be read of it in its turn. */
  #queue = 0
  #left = QUEUE_BUDGET
  #mayHaveFrames = true
  #open = true

  /** @internal */
  constructor(options: TapOptions) {
    const own = ownOptions('createTapLink()', options, NAMES)
    const name = checkName(own.name)
    const count = checkInteger('queues', own.queues ?? 1, 1, MAX_QUEUES)
    const mtu = own.mtu === undefined ? undefined : checkInteger('mtu', own.mtu, MIN_MTU, MAX_MTU)
    const { offload = true } = own
    const opened = openQueues(name, count, mtu, offload)
    this.name = opened.name
    this.offloadRefusal = opened.refusal
    // Sent frames may have both, even if the kernel does not hand them over.
    this.features = offload ? OFFLOADED_FRAMES : ORDINARY_FRAMES
    this.#queues = opened.queues
    this.#descriptors = opened.queues.map(({ fd }) => fd)
    this.#sender = new TapSender(this.#descriptors)
    this.#memory = createFrameMemory(MEMORY_BYTES)
    this.#frame = emptyFrame(this.#memory)
    this.#read.setBytes(0, this.#memory.bytes.subarray(HEADER_AT))
  }

  /** Bytes of the largest IP packet that the interface takes now. */
  get mtu(): number {
    return interfaceMtu(this.name)
  }

  /** Descriptors that can be read when a frame arrives: one for each queue, and none after `close()`. */
  get descriptors(): readonly Fd[] {
    return this.#open ? this.#descriptors : NO_DESCRIPTORS
  }

  /** @throws NETMEM_TAP_GONE once if the interface is gone: the link has ended. */
  receive(nowNs: number): LinkFrame | undefined {
    const count = this.#queues.length
    for (let empty = 0; empty < count && this.#open; ) {
      if (this.#left === 0) this.#nextQueue()
      const bytes = this.#readFrame()
      if (bytes === undefined) {
        empty++
        this.#nextQueue()
        continue
      }
      this.#left--
      this.rx_packets++
      this.#mayHaveFrames = true
      return this.#frameOf(bytes, nowNs)
    }
    this.#mayHaveFrames = false
    return undefined
  }

  nextAtNs(): number {
    return this.#mayHaveFrames && this.#open ? 0 : Number.POSITIVE_INFINITY
  }

  get ended(): boolean {
    return !this.#open
  }

  transmit(frame: LinkFrame): void {
    this.#count(this.#open && this.#sender.send(frame, undefined))
  }

  transmitPieces(head: LinkFrame, pieces: FramePieces): void {
    this.#count(this.#open && this.#sender.send(head, pieces))
  }

  /** Closes the queues. An interface that the link has made is gone with them. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    for (const queue of this.#queues) queue.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #count(sent: boolean): void {
    if (sent) this.tx_packets++
    else this.tx_dropped++
  }

  #nextQueue(): void {
    this.#left = QUEUE_BUDGET
    this.#queue = this.#queue + 1 === this.#queues.length ? 0 : this.#queue + 1
  }

  /** Reads a frame and its virtio-net header. Returns their bytes, `undefined` without one. */
  #readFrame(): number | undefined {
    const queue = this.#descriptors[this.#queue]
    if (queue === undefined) return undefined
    try {
      return this.#read.read(queue)
    } catch (error) {
      if (!(error instanceof LinuxError)) throw error
      this.close()
      throw new DeviceError(
        'NETMEM_TAP_GONE',
        'ENODEV',
        `The TAP interface ${this.name} is gone (${error.syscall}: ${error.errno}). Make it again, and open it again.`,
      )
    }
  }

  #frameOf(read: number, nowNs: number): LinkFrame {
    // The kernel never leaves the header out.
    parseVirtioNet(this.#memory.bytes, HEADER_AT, HEADER_AT + read, this.#header)
    const frame = this.#frame
    const length = read - VIRTIO_NET_HDR.BYTES
    frame.offset = FRAME_AT
    frame.length = length
    frame.originalLength = length
    frame.timeNs = nowNs
    frame.checksum = 'complete'
    frame.segmentBytes = 0
    frame.layout = undefined
    if ((this.#header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) this.#unfinished(frame)
    return frame
  }

  /** Marks a frame whose checksum, and perhaps segmentation, is left to the receiver. */
  #unfinished(frame: LinkFrame): void {
    const { bytes } = this.#memory
    const { gsoType, gsoSize, checksumStart, checksumOffset: offset } = this.#header
    const layout = parseFrame(bytes, FRAME_AT, frame.length, this.#layout)
    frame.layout = layout
    if (
      layout.kind >= FrameKind.tcp &&
      layout.l4Offset === checksumStart &&
      checksumOffset(layout) === offset
    ) {
      frame.checksum = 'partial'
      const type = gsoType & GSO_TYPE_MASK
      const isLarge = type === VIRTIO_NET_HDR_GSO_TCPV4 || type === VIRTIO_NET_HDR_GSO_TCPV6
      if (isLarge && layout.kind === FrameKind.tcp) frame.segmentBytes = gsoSize
      return
    }
    // A protocol that NICs do not finish, such as UDP in a tunnel.
    const place = checksumStart + offset
    if (gsoType !== VIRTIO_NET_HDR_GSO_NONE || place + 2 > frame.length) return
    const at = FRAME_AT + place
    const sum = foldSum(this.#memory.sum(FRAME_AT + checksumStart, frame.length - checksumStart))
    bytes[at] = (~sum >>> 8) & 0xff
    bytes[at + 1] = ~sum & 0xff
  }
}

function checkName(name: unknown): string {
  if (typeof name !== 'string') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `name must be a string, not ${typeof name}: the name of a TAP interface, such as 'tap0'.`,
    )
  }
  const { length } = new TextEncoder().encode(name)
  // K: net/core/dev.c, dev_valid_name
  const isValid = /^[^/:\s\0]+$/.test(name) && name !== '.' && name !== '..'
  if (isValid && length < IFNAMSIZ) return name
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `name must have 1 to ${IFNAMSIZ - 1} bytes, without space, '/' and ':', and is ${JSON.stringify(name)}.`,
  )
}
