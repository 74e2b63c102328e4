/** The kernel's devmem socket: recvmsg with MSG_SOCK_DEVMEM, sendmsg with a binding, and the error queue. */

import type { Address } from '../../../connection.ts'
import {
  ControlReader,
  DEVMEM_CMSG_SPACE,
  SCM_DEVMEM_DMABUF,
} from '../../../wire/control-messages.ts'
import { type QueuedError, queuedErrorOf } from '../../../wire/queued-errors.ts'
import {
  AF_UNSPEC,
  connect,
  controlSpace,
  type Fd,
  getpeername,
  getsockname,
  getsockoptInt,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_SOCK_DEVMEM,
  MSG_ZEROCOPY,
  type OwnedFd,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  parseInetAddress,
  SHUT_RDWR,
  SHUT_WR,
  SO_DEVMEM_DONTNEED,
  SO_INCOMING_NAPI_ID,
  SO_ZEROCOPY,
  SOL_SOCKET,
  SocketMessage,
  setsockopt,
  setsockoptInt,
  shutdown,
  type Watch,
  watch,
} from '../../sys/index.ts'
import {
  type DevmemIo,
  RECEIVE_BYTES,
  RECEIVE_FRAGS,
  type ReceiveMemory,
  type Wanted,
} from './devmem-io.ts'

/** Most pieces of one call, as Node.js has for its own writes: the kernel takes 1024. */
const PIECES = 64
/** Bytes of an error's control message: the error, and the address of who caused it. */
const ERROR_CONTROL = controlSpace(16 + 28)

/** Messages of a thread. A call fills one, and its caller empties it before the next. */
interface Messages {
  readonly receive: SocketMessage
  readonly bytes: Uint8Array
  readonly send: SocketMessage
  readonly sendDevice: SocketMessage
  readonly device: DataView
  readonly error: SocketMessage
}

let shared: Messages | undefined

function makeMessages(): Messages {
  const bytes = new Uint8Array(RECEIVE_BYTES)
  const receive = new SocketMessage({ controlBytes: RECEIVE_FRAGS * DEVMEM_CMSG_SPACE })
  receive.setBytes(0, bytes)
  const sendDevice = new SocketMessage({ controlBytes: controlSpace(4) })
  const { buffer, byteOffset } = sendDevice.control
  const device = new DataView(buffer, byteOffset)
  device.setUint32(0, 20, true)
  device.setInt32(8, SOL_SOCKET, true)
  device.setInt32(12, SCM_DEVMEM_DMABUF, true)
  const send = new SocketMessage({ vectors: PIECES })
  const error = new SocketMessage({ vectors: 0, controlBytes: ERROR_CONTROL })
  return { receive, bytes, send, sendDevice, device, error }
}

const EVENTS: { readonly [wanted in Wanted]: number } = {
  readable: POLLIN | POLLRDHUP,
  writable: POLLOUT,
  // POLLERR and POLLHUP come unasked.
  failed: 0,
}

export class KernelIo implements DevmemIo {
  readonly localAddress: Address
  readonly remoteAddress: Address
  readonly memory: ReceiveMemory
  readonly #descriptor: OwnedFd
  readonly #messages: Messages
  readonly #watches: { [wanted in Wanted]?: Watch } = {}
  readonly #errors = new ControlReader()
  #referenced = true
  #zeroCopy = false
  #stopped = false

  /** @param descriptor a connected TCP socket that does not block. It is closed with this object. */
  constructor(descriptor: OwnedFd) {
    shared ??= makeMessages()
    this.#messages = shared
    this.#descriptor = descriptor
    this.memory = new SharedMemory(shared)
    this.localAddress = parseInetAddress(getsockname(descriptor.fd)) ?? NOWHERE
    this.remoteAddress = parseInetAddress(getpeername(descriptor.fd)) ?? NOWHERE
  }

  receive(): number | undefined {
    return this.#messages.receive.receive(this.#fd, MSG_SOCK_DEVMEM | MSG_DONTWAIT)
  }

  send(pieces: readonly Uint8Array[], at: number): number | undefined {
    const { send } = this.#messages
    const count = Math.min(pieces.length, PIECES)
    for (let index = 0; index < count; index++) {
      const piece = pieces[index]
      if (piece !== undefined) send.setBytes(index, index === 0 ? piece.subarray(at) : piece)
    }
    send.vectors = count
    return send.send(this.#fd, MSG_NOSIGNAL | MSG_DONTWAIT)
  }

  sendDevice(binding: number, offset: number, length: number): number | undefined {
    const { sendDevice, device } = this.#messages
    if (!this.#zeroCopy) setsockoptInt(this.#fd, SOL_SOCKET, SO_ZEROCOPY, 1)
    this.#zeroCopy = true
    device.setUint32(16, binding, true)
    sendDevice.setVector(0, offset, length)
    return sendDevice.send(this.#fd, MSG_ZEROCOPY | MSG_NOSIGNAL | MSG_DONTWAIT)
  }

  takeErrors(): readonly QueuedError[] | undefined {
    const { error } = this.#messages
    if (error.receive(this.#fd, MSG_ERRQUEUE | MSG_DONTWAIT) === undefined) return undefined
    const found: QueuedError[] = []
    this.#errors.start(error.control, error.controlLength)
    while (this.#errors.next()) {
      const one = queuedErrorOf(this.#errors)
      if (one !== undefined) found.push(one)
    }
    return found
  }

  giveBack(ranges: Uint32Array): number {
    return setsockopt(this.#fd, SOL_SOCKET, SO_DEVMEM_DONTNEED, ranges)
  }

  wait(wanted: Wanted): Promise<number> {
    if (this.#stopped || !this.#descriptor.open) return Promise.resolve(0)
    let one = this.#watches[wanted]
    if (one === undefined) {
      try {
        one = watch(this.#fd, EVENTS[wanted])
      } catch (error) {
        // This process has no descriptor left for epoll(7).
        return Promise.reject(error)
      }
      if (!this.#referenced) one.unref()
      this.#watches[wanted] = one
    }
    return one.ready()
  }

  endSending(): void {
    shutdown(this.#fd, SHUT_WR)
  }

  shutDown(): void {
    shutdown(this.#fd, SHUT_RDWR)
  }

  reset(): void {
    // Dissolves the connection as connect(2) says, with a reset (Linux, tcp_disconnect).
    connect(this.#fd, UNSPECIFIED)
  }

  napiId(): number {
    return getsockoptInt(this.#fd, SOL_SOCKET, SO_INCOMING_NAPI_ID) >>> 0
  }

  stopWaiting(): void {
    this.#stopped = true
    for (const one of Object.values(this.#watches)) one.close()
  }

  setReferenced(referenced: boolean): void {
    this.#referenced = referenced
    for (const one of Object.values(this.#watches)) {
      if (referenced) one.ref()
      else one.unref()
    }
  }

  close(): void {
    this.stopWaiting()
    this.#descriptor.close()
  }

  get #fd(): Fd {
    return this.#descriptor.fd
  }
}

const NOWHERE: Address = { host: '', port: 0 }
/** An address of no family. */
const UNSPECIFIED = new Uint8Array(16).fill(AF_UNSPEC)

/** The thread's memory, as {@link DevmemIo.memory} has it. */
class SharedMemory implements ReceiveMemory {
  readonly bytes: Uint8Array
  readonly control: Uint8Array
  readonly #receive: SocketMessage

  constructor({ bytes, receive }: Messages) {
    this.bytes = bytes
    this.control = receive.control
    this.#receive = receive
  }

  get controlLength(): number {
    return this.#receive.controlLength
  }
}
