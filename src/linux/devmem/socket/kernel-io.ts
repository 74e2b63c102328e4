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

/** Most bytes that one call receives: 128 net_iovs of 4 KiB. */
export const RECEIVE_BYTES: number = 512 * 1024
/** Most frags that one call receives. */
export const RECEIVE_FRAGS = 128
/** Most pieces of one call, as Node.js has for its own writes: the kernel takes 1024. */
const PIECES = 64
/** Bytes of an error's control message: the error, and the address of who caused it. */
const ERROR_CONTROL = controlSpace(16 + 28)

/** Memory that {@link KernelIo.receive} fills. Connections share it: they empty it before they return. */
export interface ReceiveMemory {
  /** Payload that the host may read. */
  readonly bytes: Uint8Array
  /** Control messages. */
  readonly control: Uint8Array
  /** Bytes of control messages that the last call received. */
  readonly controlLength: number
}

/** A wait that {@link KernelIo.wait} begins. Each has one waiter. */
export type Wanted = 'readable' | 'writable' | 'failed'

/** System calls of one devmem socket, as a connection makes them. Tests have another implementation. */
export type DevmemIo = Pick<KernelIo, keyof KernelIo>

/** Messages of a thread. A call fills one, and its caller empties it before the next. */
type Messages = ReturnType<typeof makeMessages>

let shared: Messages | undefined

function makeMessages() {
  const bytes = new Uint8Array(RECEIVE_BYTES)
  const receive = new SocketMessage({ controlBytes: RECEIVE_FRAGS * DEVMEM_CMSG_SPACE })
  receive.setBytes(0, bytes)
  const memory: ReceiveMemory = {
    bytes,
    control: receive.control,
    get controlLength() {
      return receive.controlLength
    },
  }
  const sendDevice = new SocketMessage({ controlBytes: controlSpace(4) })
  const { buffer, byteOffset } = sendDevice.control
  const device = new DataView(buffer, byteOffset)
  device.setUint32(0, 20, true)
  device.setInt32(8, SOL_SOCKET, true)
  device.setInt32(12, SCM_DEVMEM_DMABUF, true)
  const send = new SocketMessage({ vectors: PIECES })
  const error = new SocketMessage({ vectors: 0, controlBytes: ERROR_CONTROL })
  return { receive, memory, send, sendDevice, device, error }
}

const EVENTS: { readonly [wanted in Wanted]: number } = {
  readable: POLLIN | POLLRDHUP,
  writable: POLLOUT,
  // POLLERR and POLLHUP come unasked.
  failed: 0,
}

/** Calls throw a `LinuxError` of the kernel's refusal. Those that would have to wait return undefined. */
export class KernelIo {
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
    this.memory = shared.memory
    this.localAddress = parseInetAddress(getsockname(descriptor.fd)) ?? NOWHERE
    this.remoteAddress = parseInetAddress(getpeername(descriptor.fd)) ?? NOWHERE
  }

  /** Receives payload: bytes, or frags as control messages. Returns their bytes, 0 at the end of the stream. */
  receive(): number | undefined {
    return this.#messages.receive.receive(this.#fd, MSG_SOCK_DEVMEM | MSG_DONTWAIT)
  }

  /** Sends `pieces` from byte `at` of the first. Returns the bytes that went. */
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

  /** Sends device memory without a copy. Returns the bytes that went. */
  sendDevice(binding: number, offset: number, length: number): number | undefined {
    const { sendDevice, device } = this.#messages
    if (!this.#zeroCopy) setsockoptInt(this.#fd, SOL_SOCKET, SO_ZEROCOPY, 1)
    this.#zeroCopy = true
    device.setUint32(16, binding, true)
    sendDevice.setVector(0, offset, length)
    return sendDevice.send(this.#fd, MSG_ZEROCOPY | MSG_NOSIGNAL | MSG_DONTWAIT)
  }

  /** Takes the next messages of the error queue, or undefined if it is empty. */
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

  /** Gives tokens back: pairs of a first token and a number. Returns how many the kernel knew. */
  giveBack(ranges: Uint32Array): number {
    return setsockopt(this.#fd, SOL_SOCKET, SO_DEVMEM_DONTNEED, ranges)
  }

  /** Resolves with POLL* events, or 0 if the socket is closed before. `failed` waits for POLLERR and POLLHUP alone. */
  wait(wanted: Wanted): Promise<number> {
    if (this.#stopped || !this.#descriptor.open) return Promise.resolve(0)
    let one = this.#watches[wanted]
    if (one === undefined) {
      try {
        one = watch(this.#fd, EVENTS[wanted])
      } catch (error) {
        // The process has no descriptor left for epoll(7).
        return Promise.reject(error)
      }
      if (!this.#referenced) one.unref()
      this.#watches[wanted] = one
    }
    return one.ready()
  }

  /** Ends the stream that is sent. */
  endSending(): void {
    shutdown(this.#fd, SHUT_WR)
  }

  /** Ends both streams. */
  shutDown(): void {
    shutdown(this.#fd, SHUT_RDWR)
  }

  /** Ends the connection with a reset. The socket stays open. */
  reset(): void {
    // Dissolves the connection as connect(2) says, with a reset (Linux, tcp_disconnect).
    connect(this.#fd, UNSPECIFIED)
  }

  /** Number of the NAPI instance that the last packet came by, or 0 before the first packet. */
  napiId(): number {
    return getsockoptInt(this.#fd, SOL_SOCKET, SO_INCOMING_NAPI_ID) >>> 0
  }

  /** Resolves pending waits with 0, and later ones. */
  stopWaiting(): void {
    this.#stopped = true
    for (const one of Object.values(this.#watches)) one.close()
  }

  /** Lets waits keep the process alive, or not. */
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
