/// <reference lib="esnext.disposable" preserve="true" />

/**
 * A machine for tests of devices: it speaks to the server as QEMU does, without QEMU and without a guest.
 * It has a memfd for the guest's memory and eventfds for interrupts.
 */

import {
  AF_UNIX,
  connect,
  controlSpace,
  EFD_NONBLOCK,
  eventfd,
  type Fd,
  ftruncate,
  type Mapping,
  MFD_ALLOW_SEALING,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  map,
  memfdCreate,
  type OwnedFd,
  POLLIN,
  PollSet,
  read,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SocketMessage,
  socket,
  socketpair,
  unixAddress,
} from '../../linux/sys/index.ts'
import {
  DMA_MAP,
  DMA_MAP_READ,
  DMA_MAP_WRITE,
  DMA_UNMAP,
  PCI_MSIX_IRQ,
  REGION_ACCESS,
  SET_IRQS,
  SET_IRQS_EVENTFD,
  SET_IRQS_NONE,
  SET_IRQS_TRIGGER,
  VFIO_USER,
  VFIO_USER_FLAGS,
  VFIO_USER_HEADER,
  writeUint64,
} from '../../wire/vfio-user.ts'
import type { AccessBytes, PciDevice } from '../pci-device.ts'
import { VfioUserSession } from '../session.ts'

/** Options of a {@link TestMachine}. */
export interface TestMachineOptions {
  /** Bytes of the guest's memory, from address 0 on. 4 MiB by default. */
  readonly memoryBytes?: number
  /** Interrupts that the guest turns on. All of the device's by default, or 1 of a connected one. */
  readonly vectors?: number
}

/** Answer to a request. */
export interface Reply {
  /** Error number, 0 for success. */
  readonly errno: number
  /** Bytes behind the header. */
  readonly body: Uint8Array<ArrayBuffer>
}

/** Size of a buffer that holds every reply of the server. */
const REPLY_BYTES = 32 * 1024
/** Ms that a call waits for a server in another thread before it fails. */
const HANG_MS = 60_000

/** Makes a device of this thread part of a machine, with its memory mapped and its interrupts on. */
export function createTestMachine(
  device: PciDevice,
  { memoryBytes = 4 * 2 ** 20, vectors = device.msix.vectors }: TestMachineOptions = {},
): TestMachine {
  const [near, far] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
  const session = new VfioUserSession(far, device)
  const machine = new TestMachine(near, memoryBytes, session)
  machine.greet()
  machine.mapMemory(0, memoryBytes, 0)
  machine.connectVectors(vectors)
  return machine
}

/**
 * Connects a machine to a device of another process or thread, with its memory mapped and its interrupts
 * on.
 *
 * @param path place of the device's socket.
 * @throws NETMEM_SYSCALL_FAILED if no device is served there.
 */
export function connectTestMachine(
  path: string,
  { memoryBytes = 4 * 2 ** 20, vectors = 1 }: TestMachineOptions = {},
): TestMachine {
  const near = socket(AF_UNIX, SOCK_STREAM)
  const address = unixAddress(path)
  try {
    if (address !== undefined) connect(near.fd, address)
  } catch (error) {
    near.close()
    throw error
  }
  const machine = new TestMachine(near, memoryBytes)
  machine.greet()
  machine.mapMemory(0, memoryBytes, 0)
  machine.connectVectors(vectors)
  return machine
}

/** The other end of a server's socket. */
export class TestMachine implements Disposable {
  /** The server, if it is in this thread. */
  readonly session: VfioUserSession | undefined
  /** The guest's memory: the file that `mapMemory()` maps. */
  readonly memory: Uint8Array<ArrayBuffer>
  /** A view of `memory`. */
  readonly view: DataView<ArrayBuffer>
  /** File of the guest's memory, a memfd. */
  readonly file: OwnedFd
  readonly #mapping: Mapping<ArrayBuffer>
  readonly #socket: OwnedFd
  readonly #vectors: (OwnedFd | undefined)[] = []
  readonly #counter = new BigUint64Array(1)
  readonly #poll = new PollSet(1)
  readonly #received = new Uint8Array(REPLY_BYTES)
  #id = 0

  /** @param session the server, if it is in this thread: then it answers while a request waits. */
  constructor(socket: OwnedFd, memoryBytes: number, session?: VfioUserSession) {
    this.session = session
    this.#socket = socket
    this.file = memfdCreate('netmem-guest', MFD_ALLOW_SEALING)
    ftruncate(this.file.fd, memoryBytes)
    this.#mapping = map(this.file.fd, memoryBytes)
    this.memory = this.#mapping.bytes
    this.view = new DataView(this.memory.buffer, this.memory.byteOffset, memoryBytes)
    this.#poll.set(0, socket.fd, POLLIN)
  }

  /** Negotiates the version. */
  greet(text = '{"capabilities":{"max_msg_fds":8}}', major = 0, minor = 0): Reply {
    const json = new TextEncoder().encode(`${text}\0`)
    const body = new Uint8Array(4 + json.length)
    new DataView(body.buffer).setUint16(0, major, true)
    new DataView(body.buffer).setUint16(2, minor, true)
    body.set(json, 4)
    return this.request(VFIO_USER.VERSION, body)
  }

  /** Maps a part of the memory, or of another file. Without a file it is memory that is not shared. */
  mapMemory(
    address: number,
    bytes: number,
    offset: number,
    { writable = true, fd = this.file.fd }: { writable?: boolean; fd?: Fd | null } = {},
  ): Reply {
    const body = new DataView(new ArrayBuffer(DMA_MAP.BYTES))
    body.setUint32(0, DMA_MAP.BYTES, true)
    const flags = writable ? DMA_MAP_READ | DMA_MAP_WRITE : DMA_MAP_READ
    body.setUint32(DMA_MAP.FLAGS, flags, true)
    writeUint64(body, DMA_MAP.OFFSET, offset)
    writeUint64(body, DMA_MAP.ADDRESS, address)
    writeUint64(body, DMA_MAP.SIZE, bytes)
    return this.request(VFIO_USER.DMA_MAP, bytesOf(body), fd === null ? [] : [fd])
  }

  /** Unmaps what lies in a range, or all of the memory with flag 2. */
  unmapMemory(address: number, bytes: number, flags = 0): Reply {
    const body = new DataView(new ArrayBuffer(DMA_UNMAP.BYTES))
    body.setUint32(0, DMA_UNMAP.BYTES, true)
    body.setUint32(DMA_UNMAP.FLAGS, flags, true)
    writeUint64(body, DMA_UNMAP.ADDRESS, address)
    writeUint64(body, DMA_UNMAP.SIZE, bytes)
    return this.request(VFIO_USER.DMA_UNMAP, bytesOf(body))
  }

  /** Turns `count` interrupts on, with an eventfd each, as QEMU does: all without, then each with one. */
  connectVectors(count: number): void {
    this.setIrqs(SET_IRQS_EVENTFD | SET_IRQS_TRIGGER, 0, count)
    for (let vector = 0; vector < count; vector++) this.connectVector(vector)
  }

  /** Gives a vector a new eventfd. */
  connectVector(vector: number): Reply {
    this.#vectors[vector]?.close()
    const made = eventfd(0, EFD_NONBLOCK)
    this.#vectors[vector] = made
    return this.setIrqs(SET_IRQS_EVENTFD | SET_IRQS_TRIGGER, vector, 1, [made.fd])
  }

  /** Turns interrupts off. */
  disconnectVectors(): Reply {
    return this.setIrqs(SET_IRQS_NONE | SET_IRQS_TRIGGER, 0, 0)
  }

  /** Makes a setting of `count` interrupts, from `start` on. */
  setIrqs(flags: number, start: number, count: number, fds: readonly Fd[] = []): Reply {
    const body = new DataView(new ArrayBuffer(SET_IRQS.BYTES))
    body.setUint32(0, SET_IRQS.BYTES, true)
    body.setUint32(SET_IRQS.FLAGS, flags, true)
    body.setUint32(SET_IRQS.INDEX, PCI_MSIX_IRQ, true)
    body.setUint32(SET_IRQS.START, start, true)
    body.setUint32(SET_IRQS.COUNT, count, true)
    return this.request(VFIO_USER.DEVICE_SET_IRQS, bytesOf(body), fds)
  }

  /** Returns how often the device has raised a vector since the last call. */
  takeInterrupts(vector: number): number {
    const counter = this.#vectors[vector]
    if (counter === undefined || read(counter.fd, this.#counter) === undefined) return 0
    return Number(this.#counter[0])
  }

  /** Reads a register. */
  readRegister(region: number, offset: number, bytes: AccessBytes): number {
    const { errno, body } = this.readRegion(region, offset, bytes)
    if (errno !== 0) throw new Error(`error ${errno} of a register's read`)
    const view = new DataView(body.buffer, body.byteOffset + REGION_ACCESS.BYTES)
    if (bytes === 4) return view.getUint32(0, true)
    return bytes === 2 ? view.getUint16(0, true) : view.getUint8(0)
  }

  /** Writes a register. */
  writeRegister(region: number, offset: number, bytes: AccessBytes, value: number): void {
    const view = new DataView(new ArrayBuffer(bytes))
    if (bytes === 4) view.setUint32(0, value, true)
    else if (bytes === 2) view.setUint16(0, value, true)
    else view.setUint8(0, value)
    const { errno } = this.writeRegion(region, offset, bytesOf(view))
    if (errno !== 0) throw new Error(`error ${errno} of a register's write`)
  }

  /** Reads `count` bytes of a region: 0 to 5 are BARs, 7 the configuration space. */
  readRegion(region: number, offset: number, count: number): Reply {
    return this.request(VFIO_USER.REGION_READ, accessBody(region, offset, count, 0))
  }

  /** Writes bytes of a region. */
  writeRegion(region: number, offset: number, bytes: Uint8Array): Reply {
    const body = accessBody(region, offset, bytes.length, bytes.length)
    body.set(bytes, REGION_ACCESS.BYTES)
    return this.request(VFIO_USER.REGION_WRITE, body)
  }

  /** Resets the device. */
  reset(): Reply {
    return this.request(VFIO_USER.DEVICE_RESET, new Uint8Array())
  }

  /**
   * Sends a request and waits for its reply.
   *
   * @throws Error if the server ends the connection, and what it throws if it is in this thread.
   */
  request(command: number, body: Uint8Array, fds: readonly Fd[] = []): Reply {
    const id = this.#id
    this.#id = (id + 1) & 0xffff
    this.send(messageOf(id, command, VFIO_USER_FLAGS.REQUEST, body), fds)
    let have = 0
    const view = new DataView(this.#received.buffer)
    while (have < VFIO_USER_HEADER.BYTES || have < view.getUint32(VFIO_USER_HEADER.SIZE, true)) {
      have += this.receive(this.#received.subarray(have))
    }
    if (view.getUint16(VFIO_USER_HEADER.ID, true) !== id)
      throw new Error('a reply to another request')
    const errno = view.getUint32(VFIO_USER_HEADER.ERRNO, true)
    return { errno, body: this.#received.slice(VFIO_USER_HEADER.BYTES, have) }
  }

  /** Sends bytes that need not be a message. */
  send(bytes: Uint8Array, fds: readonly Fd[] = []): void {
    const message = new SocketMessage({ controlBytes: controlSpace(4 * fds.length) })
    for (let sent = 0; sent < bytes.length; ) {
      message.setBytes(0, bytes.subarray(sent))
      message.setDescriptors(sent === 0 ? fds : [])
      const went = message.send(this.#socket.fd, MSG_DONTWAIT | MSG_NOSIGNAL)
      if (went === undefined) this.session?.step()
      else sent += went
    }
  }

  /** Receives bytes of the server, and waits for some. */
  receive(into: Uint8Array): number {
    const message = new SocketMessage()
    message.setBytes(0, into)
    for (;;) {
      const bytes = message.receive(this.#socket.fd, MSG_DONTWAIT)
      if (bytes === 0) throw new Error('the server has ended the connection')
      if (bytes !== undefined) return bytes
      if (this.session !== undefined) this.session.step()
      else if (this.#poll.wait(HANG_MS) === 0) throw new Error('the server does not answer')
    }
  }

  /** Ends the machine, as if QEMU were killed. */
  close(): void {
    this.#socket.close()
    for (const vector of this.#vectors.splice(0)) vector?.close()
    this.file.close()
    this.#mapping.unmap()
    this.session?.step()
  }

  [Symbol.dispose](): void {
    if (this.#socket.open) this.close()
  }
}

/** Returns a message. `size` is the length in its header. */
export function messageOf(
  id: number,
  command: number,
  flags: number,
  body: Uint8Array,
  size: number = VFIO_USER_HEADER.BYTES + body.length,
): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(VFIO_USER_HEADER.BYTES + body.length)
  const view = new DataView(message.buffer)
  view.setUint16(VFIO_USER_HEADER.ID, id, true)
  view.setUint16(VFIO_USER_HEADER.COMMAND, command, true)
  view.setUint32(VFIO_USER_HEADER.SIZE, size, true)
  view.setUint32(VFIO_USER_HEADER.FLAGS, flags, true)
  message.set(body, VFIO_USER_HEADER.BYTES)
  return message
}

function accessBody(
  region: number,
  offset: number,
  count: number,
  bytes: number,
): Uint8Array<ArrayBuffer> {
  const body = new DataView(new ArrayBuffer(REGION_ACCESS.BYTES + bytes))
  writeUint64(body, REGION_ACCESS.OFFSET, offset)
  body.setUint32(REGION_ACCESS.REGION, region, true)
  body.setUint32(REGION_ACCESS.COUNT, count, true)
  return bytesOf(body)
}

function bytesOf({ buffer }: DataView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer)
}
