/** Sends frames to a TAP interface: by writev(2), from where their pieces lie. */

import { addressOf } from '../../../linux/sys/libc.ts'
import { LinuxError } from '../../../linux/sys/linux-error.ts'
import { SocketMessage } from '../../../linux/sys/messages.ts'
import type { Fd } from '../../../linux/sys/owned-fd.ts'
import { checksumOffset } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { CWR } from '../../../wire/tcp.ts'
import {
  VIRTIO_NET_HDR,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VirtioNetHeader,
  writeVirtioNet,
} from '../../../wire/virtio-net.ts'
import type { FramePieces, LinkFrame } from '../link.ts'

/** Most vectors of a call. K: include/uapi/linux/uio.h, UIO_MAXIOV. */
const MAX_VECTORS = 1024
/** Vectors in front of the pieces: the virtio-net header, and what was copied of the frame. */
const FRONT = 2
/** Header of a frame that the kernel takes as it is. */
const FINISHED = new VirtioNetHeader()

export class TapSender {
  readonly #queues: readonly Fd[]
  readonly #message = new SocketMessage({ vectors: MAX_VECTORS })
  readonly #headerBytes = new Uint8Array(VIRTIO_NET_HDR.BYTES)
  readonly #header = new VirtioNetHeader()
  readonly #layout = new FrameLayout()

  constructor(queues: readonly Fd[]) {
    this.#queues = queues
    this.#message.setBytes(0, this.#headerBytes)
  }

  /** Sends a frame with the pieces that follow it, if there are some. Returns false if the kernel refuses it. */
  send(frame: LinkFrame, pieces: FramePieces | undefined): boolean {
    const { memory, offset, length } = frame
    const message = this.#message
    const count = pieces === undefined ? 0 : pieces.count
    if (FRONT + count > MAX_VECTORS) return false
    const layout = this.#write(frame)
    message.setVector(1, addressOf(memory.bytes) + offset, length)
    if (pieces !== undefined) {
      for (let at = 0; at < count; at++) {
        const piece = pieces.memories[at]
        if (piece === undefined) return false
        const base = addressOf(piece) + (pieces.offsets[at] ?? 0)
        message.setVector(FRONT + at, base, pieces.lengths[at] ?? 0)
      }
    }
    message.vectors = FRONT + count
    const queue = this.#queues[this.#queueOf(layout, memory.bytes, offset)]
    if (queue === undefined) return false
    try {
      return message.write(queue) !== undefined
    } catch (error) {
      // EIO: the interface is down. EINVAL: a header that contradicts its frame.
      if (error instanceof LinuxError) return false
      throw error
    }
  }

  /** Writes the virtio-net header of a frame. Returns its layout, if that is known. */
  #write(frame: LinkFrame): FrameLayout | undefined {
    const { memory, offset, length, originalLength } = frame
    const isPartial = frame.checksum === 'partial'
    const needsLayout = isPartial || this.#queues.length > 1
    const layout =
      frame.layout === undefined && needsLayout
        ? parseFrame(memory.bytes, offset, length, this.#layout, originalLength)
        : frame.layout
    const hasSum = isPartial && layout !== undefined && layout.kind >= FrameKind.tcp
    writeVirtioNet(this.#headerBytes, 0, hasSum ? this.#unfinished(frame, layout) : FINISHED)
    return layout
  }

  /** Returns the header of a frame whose checksum, and perhaps segmentation, is left to the kernel. */
  #unfinished({ segmentBytes }: LinkFrame, layout: FrameLayout): VirtioNetHeader {
    const header = this.#header
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM
    header.checksumStart = layout.l4Offset
    header.checksumOffset = checksumOffset(layout)
    header.gsoType = segmentBytes === 0 ? VIRTIO_NET_HDR_GSO_NONE : gsoTypeOf(layout)
    header.headerBytes = segmentBytes === 0 ? 0 : layout.headerLength
    header.gsoSize = segmentBytes
    return header
  }

  /**
   * Returns the queue of a flow, the same in both directions: frames without ports have the first one.
   * The kernel sends the frames of a flow on the queue on which one of it was written last.
   */
  #queueOf(layout: FrameLayout | undefined, bytes: Uint8Array, offset: number): number {
    const queues = this.#queues.length
    if (queues === 1 || layout === undefined || layout.kind < FrameKind.tcp) return 0
    let sum = layout.sourcePort ^ layout.destinationPort
    const end = offset + layout.destinationOffset + layout.addressBytes
    for (let at = offset + layout.sourceOffset; at < end; at++) sum = (sum + (bytes[at] ?? 0)) | 0
    return (sum >>> 0) % queues
  }
}

function gsoTypeOf({ ipVersion, tcpFlags }: FrameLayout): number {
  const type = ipVersion === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6
  return (tcpFlags & CWR) === 0 ? type : type | VIRTIO_NET_HDR_GSO_ECN
}
