/** Messages over a Unix socket that does not block, with descriptors beside them. */

import {
  addressOf,
  controlSpace,
  type Fd,
  LinuxError,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  type OwnedFd,
  POLLIN,
  POLLOUT,
  read,
  SHUT_RDWR,
  SocketMessage,
  shutdown,
  yieldProcessor,
} from '../linux/sys/index.ts'
import { VFIO_USER_FLAGS, VFIO_USER_HEADER, VfioUserFramer } from '../wire/vfio-user.ts'
import { MAX_DESCRIPTORS } from './version.ts'
import { VfioUserError } from './vfio-user-error.ts'

/** Bytes of replies that are held. */
const REPLY_BYTES = 64 * 1024
/**
 * Bytes received in one step: 7 writes of a register. A guest that writes without a pause does not keep
 * the thread from other devices.
 */
const STEP_BYTES = 256

/** Descriptors that have come, and the byte of the stream behind those received with them. */
interface ReceivedFds {
  readonly at: number
  readonly descriptors: OwnedFd[]
}

export class MessageStream {
  readonly framer: VfioUserFramer = new VfioUserFramer()
  /** Replies: `replyView` is written from `replyAt` on, the place of the next reply's body. */
  readonly replies: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(REPLY_BYTES))
  readonly replyView: DataView<ArrayBuffer> = new DataView(this.replies.buffer)
  readonly #socket: OwnedFd
  readonly #incoming = new SocketMessage({ controlBytes: controlSpace(4 * MAX_DESCRIPTORS) })
  readonly #outgoing = new SocketMessage()
  readonly #framerAddress = addressOf(this.framer.bytes)
  readonly #repliesAddress = addressOf(this.replies)
  #received: ReceivedFds[] = []
  #sent = 0
  #end = 0

  constructor(socket: OwnedFd) {
    this.#socket = socket
  }

  get fd(): Fd {
    return this.#socket.fd
  }

  /** Events to wait for: room for replies first, then requests. */
  get events(): number {
    return this.#end > this.#sent ? POLLOUT : POLLIN
  }

  /** Place of the next reply's body in `replies`. */
  get replyAt(): number {
    return this.#end + VFIO_USER_HEADER.BYTES
  }

  /**
   * Receives what has come. Returns false at the end of the stream.
   *
   * @throws NETMEM_VFIO_USER_PROTOCOL for more descriptors than the two sides agreed on.
   */
  receive(): boolean {
    const { framer } = this
    const bytesOfStep = Math.min(framer.room, STEP_BYTES)
    this.#incoming.setVector(0, this.#framerAddress + framer.end, bytesOfStep)
    const bytes = this.#incoming.receive(this.fd, MSG_DONTWAIT)
    if (bytes === undefined) return true
    framer.received(bytes)
    const { controlLength, controlTruncated } = this.#incoming
    if (controlLength > 0 || controlTruncated) this.#keepDescriptors()
    return bytes > 0
  }

  /**
   * Returns the descriptors of the message that the framer found, whose owner the caller is. A call
   * of the kernel ends with the first descriptors, so they belong to the last message in it.
   */
  takeDescriptors(): OwnedFd[] {
    if (this.#received.length === 0) return []
    const end = this.framer.messageEnd
    const taken = this.#received.filter(({ at }) => at <= end)
    this.#received = this.#received.filter(({ at }) => at > end)
    return taken.flatMap(({ descriptors }) => descriptors)
  }

  /** Ends a reply to the framer's message, whose body of `bytes` was written at `replyAt`. */
  reply(bytes: number, errno = 0): void {
    const { replyView: view, framer } = this
    const at = this.#end
    const flags =
      errno === 0 ? VFIO_USER_FLAGS.REPLY : VFIO_USER_FLAGS.REPLY | VFIO_USER_FLAGS.ERROR
    view.setUint16(at + VFIO_USER_HEADER.ID, framer.id, true)
    view.setUint16(at + VFIO_USER_HEADER.COMMAND, framer.command, true)
    view.setUint32(at + VFIO_USER_HEADER.SIZE, VFIO_USER_HEADER.BYTES + bytes, true)
    view.setUint32(at + VFIO_USER_HEADER.FLAGS, flags, true)
    view.setUint32(at + VFIO_USER_HEADER.ERRNO, errno, true)
    this.#end += VFIO_USER_HEADER.BYTES + bytes
  }

  /** True while a reply of any length fits. */
  get hasRoom(): boolean {
    return REPLY_BYTES - this.#end >= REPLY_BYTES / 2
  }

  /** Sends replies. Returns true if all are gone. */
  flush(): boolean {
    if (this.#sent === this.#end) return true
    while (this.#sent < this.#end) {
      this.#outgoing.setVector(0, this.#repliesAddress + this.#sent, this.#end - this.#sent)
      const bytes = this.#outgoing.send(this.fd, MSG_DONTWAIT | MSG_NOSIGNAL)
      if (bytes === undefined) return false
      this.#sent += bytes
    }
    this.#sent = 0
    this.#end = 0
    // The machine that waits may have been woken on this processor. A thread with a short slice or a high
    // priority yields too little (docs/benchmarks.md).
    yieldProcessor()
    return true
  }

  close(): void {
    for (const { descriptors } of this.#received) for (const one of descriptors) one.close()
    this.#received = []
    this.#discardRequests()
    this.#socket.close()
  }

  /**
   * Reads requests that are left without an answer. Otherwise the client meets an error (ECONNRESET)
   * where the connection ends, for which QEMU 11.1 aborts. The kernel closes descriptors beside them.
   */
  #discardRequests(): void {
    try {
      shutdown(this.fd, SHUT_RDWR)
      while ((read(this.fd, this.replies) ?? 0) > 0);
    } catch (error) {
      // A client that is gone, and has not read all replies, ends the connection by an error.
      if (!(error instanceof LinuxError)) throw error
    }
  }

  #keepDescriptors(): void {
    const lost = this.#incoming.controlTruncated
    const descriptors = this.#incoming.takeDescriptors()
    this.#received.push({ at: this.framer.streamBytes, descriptors })
    const held = this.#received.reduce((sum, each) => sum + each.descriptors.length, 0)
    if (held > MAX_DESCRIPTORS) {
      throw new VfioUserError(
        'NETMEM_VFIO_USER_PROTOCOL',
        `A message of the client has more than ${MAX_DESCRIPTORS} descriptors. Use QEMU 10.1 or newer.`,
      )
    }
    if (!lost) return
    throw new VfioUserError(
      'NETMEM_VFIO_USER_PROTOCOL',
      `Descriptors of the client are lost: they are more than ${MAX_DESCRIPTORS}, or this process has none left (raise \`ulimit -n\`).`,
    )
  }
}
