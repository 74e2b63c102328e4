/// <reference lib="esnext.disposable" preserve="true" />

/** One connection of a machine: its requests, answered for a device. */

import { type Fd, LinuxError, type OwnedFd } from '../linux/sys/index.ts'
import { VFIO_USER, VFIO_USER_FLAGS } from '../wire/vfio-user.ts'
import { MessageStream } from './message-stream.ts'
import type { PciDevice } from './pci-device.ts'
import { DeviceRequests, EINVAL } from './requests.ts'
import { VfioUserError } from './vfio-user-error.ts'

/** A machine that is connected. One thread calls `step()` whenever `fd` has one of `events`. */
export class VfioUserSession implements Disposable {
  readonly #device: PciDevice
  readonly #stream: MessageStream
  readonly #requests: DeviceRequests
  #greeted = false
  #open = true
  /** True if requests have been received that wait for room for their replies. */
  #paused = false

  /**
   * @param socket a connected Unix socket, which the session owns from here on. A device that throws
   *   when it is attached closes it.
   */
  constructor(socket: OwnedFd, device: PciDevice) {
    this.#device = device
    try {
      this.#stream = new MessageStream(socket)
      this.#requests = new DeviceRequests(device, socket.fd)
      device.attach(this.#requests.bus)
    } catch (error) {
      socket.close()
      throw error
    }
  }

  /** Descriptor to wait for, while the session is open. */
  get fd(): Fd {
    return this.#stream.fd
  }

  /** Events (POLL*) to call `step()` for. */
  get events(): number {
    return this.#stream.events
  }

  /** False once the machine is gone. */
  get open(): boolean {
    return this.#open
  }

  /**
   * Answers some of the requests that have come, and never waits: `fd` has an event of `events` while
   * there are more. The session closes when the machine goes.
   *
   * @returns how many requests there were.
   * @throws NETMEM_VFIO_USER_PROTOCOL, NETMEM_VFIO_USER_VERSION, NETMEM_VFIO_USER_MEMORY or
   *   NETMEM_VFIO_USER_IOMMU if the machine cannot have the device, and what the device throws. The
   *   session is closed then.
   */
  step(): number {
    if (!this.#open) return 0
    try {
      return this.#answer()
    } catch (error) {
      this.close()
      if (error instanceof LinuxError && GONE.has(error.errno ?? '')) return 0
      throw error
    }
  }

  /** Ends the connection: descriptors are closed, and the guest's memory is unmapped. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#stream.close()
    this.#requests.close()
    this.#device.detach()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #answer(): number {
    const stream = this.#stream
    // Replies that wait are sent before the next request is read, so that no buffer grows.
    if (!stream.flush()) return 0
    const ended = !this.#paused && !stream.receive()
    this.#paused = false
    let answered = 0
    for (;;) {
      const framed = stream.framer.next()
      if (framed === 'incomplete') break
      if (framed === 'malformed') throw breach('sent a message of a length that cannot be')
      answered++
      this.#dispatch()
      // The device may have ended the session.
      if (!this.#open) return answered
      if (!stream.hasRoom && !stream.flush()) {
        this.#paused = true
        return answered
      }
    }
    stream.flush()
    if (ended) this.close()
    return answered
  }

  #dispatch(): void {
    const stream = this.#stream
    const { flags, command } = stream.framer
    const descriptors = stream.takeDescriptors()
    try {
      if ((flags & VFIO_USER_FLAGS.TYPE) !== VFIO_USER_FLAGS.REQUEST) {
        throw breach('answers what it was not asked')
      }
      if (this.#greeted === (command === VFIO_USER.VERSION)) {
        throw breach('does not begin with its version, or repeats it')
      }
      const result = this.#requests.handle(stream, descriptors)
      this.#greeted = true
      if ((flags & VFIO_USER_FLAGS.NO_REPLY) !== 0) return
      if (result < 0) stream.reply(0, -result)
      else stream.reply(result)
    } catch (error) {
      // The machine learns that it is refused before its connection ends.
      stream.reply(0, EINVAL)
      if (this.#open) stream.flush()
      throw error
    } finally {
      for (const one of descriptors) one.close()
    }
  }
}

/** Errors of a socket whose other end is gone. */
const GONE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET'])

function breach(what: string): VfioUserError {
  return new VfioUserError(
    'NETMEM_VFIO_USER_PROTOCOL',
    `The client ${what}. Use QEMU 10.1 or newer.`,
  )
}
