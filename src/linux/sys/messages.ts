/** sendmsg(2), recvmsg(2), readv(2) and writev(2) over buffers that are laid out once. */

import { checkInteger } from '../../errors.ts'
import { ControlReader } from '../../wire/control-messages.ts'
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_RIGHTS, SOL_SOCKET } from './constants.ts'
import { checkedOrWait, interrupted } from './failure.ts'
import { CMSGHDR, IOVEC, MSGHDR } from './layouts.ts'
import { addressOf, libc, Pinned } from './libc.ts'
import { type Fd, isFd, OwnedFd } from './owned-fd.ts'

/** Place of the vectors in a message's memory, behind its header. */
const VECTORS_AT = MSGHDR.BYTES

/** Bytes that a control message with `bytes` of data takes (CMSG_SPACE). */
export function controlSpace(bytes: number): number {
  return CMSGHDR.BYTES + ((bytes + 7) & ~7)
}

/** Sizes of a {@link SocketMessage}. */
export interface MessageOptions {
  /** Pieces of memory that a message is gathered from or scattered to, 1 by default. */
  readonly vectors?: number
  /** Bytes of the peer's address, 0 by default. */
  readonly nameBytes?: number
  /** Bytes of control messages, 0 by default. `controlSpace()` says what one needs. */
  readonly controlBytes?: number
}

/**
 * A message to send or to receive into, for any number of calls. Its structures are allocated here
 * and lie still, so that a call makes no garbage.
 */
export class SocketMessage {
  /** The peer's address: `nameLength` bytes of it are valid. */
  readonly name: Uint8Array
  /** Control messages: `controlLength` bytes of them are valid. */
  readonly control: Uint8Array
  readonly #memory: Pinned
  /** Address of the vectors. */
  readonly #vectors: number
  /** The caller's memory, which is to live as long as its addresses are in use. */
  readonly #buffers: (ArrayBufferView | undefined)[]
  #used: number

  constructor({ vectors = 1, nameBytes = 0, controlBytes = 0 }: MessageOptions = {}) {
    const nameAt = VECTORS_AT + vectors * IOVEC.BYTES
    const controlAt = nameAt + ((nameBytes + 7) & ~7)
    const memory = new Pinned(controlAt + controlBytes)
    this.#memory = memory
    this.name = memory.bytes.subarray(nameAt, nameAt + nameBytes)
    this.control = memory.bytes.subarray(controlAt)
    this.#vectors = memory.address + VECTORS_AT
    this.#buffers = new Array<ArrayBufferView | undefined>(vectors).fill(undefined)
    this.#used = vectors
    memory.setUint64(MSGHDR.NAME, nameBytes === 0 ? 0 : memory.address + nameAt)
    memory.setUint64(MSGHDR.CONTROL, controlBytes === 0 ? 0 : memory.address + controlAt)
    memory.setUint64(MSGHDR.VECTORS, this.#vectors)
    memory.setUint64(MSGHDR.VECTOR_COUNT, vectors)
    this.nameLength = nameBytes
    this.controlLength = controlBytes
  }

  /** Number of vectors that a call uses, the first of them. */
  get vectors(): number {
    return this.#used
  }
  set vectors(count: number) {
    checkInteger('vectors', count, 0, this.#buffers.length)
    this.#used = count
    this.#memory.setUint64(MSGHDR.VECTOR_COUNT, count)
  }

  get nameLength(): number {
    return this.#memory.view.getUint32(MSGHDR.NAME_LENGTH, true)
  }
  set nameLength(bytes: number) {
    this.#memory.view.setUint32(MSGHDR.NAME_LENGTH, bytes, true)
  }

  get controlLength(): number {
    return this.#memory.view.getUint32(MSGHDR.CONTROL_LENGTH, true)
  }
  set controlLength(bytes: number) {
    this.#memory.view.setUint32(MSGHDR.CONTROL_LENGTH, bytes, true)
  }

  /** MSG_* that came with what was received. */
  get flags(): number {
    return this.#memory.view.getInt32(MSGHDR.FLAGS, true)
  }

  /** Makes vector `index` the memory of `bytes`, which the message keeps alive. */
  setBytes(index: number, bytes: Uint8Array): void {
    this.setVector(index, addressOf(bytes), bytes.byteLength)
    this.#buffers[index] = bytes
  }

  /** Makes vector `index` an address, or for device memory an offset into its dma-buf. */
  setVector(index: number, base: number, length: number): void {
    checkInteger('index', index, 0, this.#buffers.length - 1)
    this.#buffers[index] = undefined
    this.#memory.setUint64(VECTORS_AT + index * IOVEC.BYTES + IOVEC.BASE, base)
    this.#memory.setUint64(VECTORS_AT + index * IOVEC.BYTES + IOVEC.LENGTH, length)
  }

  /** Sends the message. Returns the bytes that were sent, or undefined if there is no room yet. */
  send(fd: Fd, flags = 0): number | undefined {
    let result: number
    do result = libc().sendmsg(fd, this.#memory.address, flags)
    while (interrupted(result))
    return checkedOrWait(result, 'sendmsg')
  }

  /**
   * Receives into it. All of `name` and `control` is offered each time.
   *
   * @returns the bytes that were received, 0 at the end of a stream, or undefined if nothing has come.
   */
  receive(fd: Fd, flags = 0): number | undefined {
    this.nameLength = this.name.byteLength
    this.controlLength = this.control.byteLength
    let result: number
    do result = libc().recvmsg(fd, this.#memory.address, flags | MSG_CMSG_CLOEXEC)
    while (interrupted(result))
    return checkedOrWait(result, 'recvmsg')
  }

  /** Reads into its vectors (readv). */
  read(fd: Fd): number | undefined {
    let result: number
    do result = libc().readv(fd, this.#vectors, this.#used)
    while (interrupted(result))
    return checkedOrWait(result, 'readv')
  }

  /** Writes its vectors (writev). */
  write(fd: Fd): number | undefined {
    let result: number
    do result = libc().writev(fd, this.#vectors, this.#used)
    while (interrupted(result))
    return checkedOrWait(result, 'writev')
  }

  /** Makes descriptors its only control message. The receiver gets new descriptors of the same files. */
  setDescriptors(fds: readonly Fd[]): void {
    const bytes = CMSGHDR.BYTES + fds.length * 4
    const { byteOffset, byteLength } = this.control
    const most = Math.max(0, Math.floor((byteLength - CMSGHDR.BYTES) / 4))
    checkInteger('descriptors', fds.length, 0, most)
    this.#memory.setUint64(byteOffset + CMSGHDR.LENGTH, bytes)
    this.#memory.view.setInt32(byteOffset + CMSGHDR.LEVEL, SOL_SOCKET, true)
    this.#memory.view.setInt32(byteOffset + CMSGHDR.TYPE, SCM_RIGHTS, true)
    for (const [index, fd] of fds.entries()) {
      this.#memory.view.setInt32(byteOffset + CMSGHDR.BYTES + index * 4, fd, true)
    }
    this.controlLength = Math.min(controlSpace(fds.length * 4), byteLength)
  }

  /**
   * Takes ownership of the descriptors that came with what was received, and drops its control
   * messages. Call it after each `receive()` of a peer that may send some: they are open already, and
   * leak otherwise.
   */
  takeDescriptors(): OwnedFd[] {
    const owned: OwnedFd[] = []
    const reader = new ControlReader()
    reader.start(this.control, this.controlLength)
    while (reader.next()) {
      if (reader.level !== SOL_SOCKET || reader.type !== SCM_RIGHTS) continue
      for (let at = 0; at + 4 <= reader.dataBytes; at += 4) {
        const fd = reader.data32(at)
        if (isFd(fd)) owned.push(new OwnedFd(fd, 'received descriptor'))
      }
    }
    this.controlLength = 0
    return owned
  }

  /** True if control messages, and descriptors among them, were lost for want of room. */
  get controlTruncated(): boolean {
    return (this.flags & MSG_CTRUNC) !== 0
  }
}
