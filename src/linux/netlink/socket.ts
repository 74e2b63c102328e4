/** The kernel's netlink socket. */

import type { Fd, OwnedFd } from '../sys/index.ts'
import * as sys from '../sys/index.ts'
import type { NetlinkTransport, Received } from './transport.ts'

/**
 * Room for one datagram. The kernel's dumps come in pieces of up to 32 KiB (K: net/netlink/af_netlink.c,
 * netlink_dump), and an attribute has at most 64 KiB. So a reply with the largest attribute fits.
 */
const RECEIVE_BYTES = 128 * 1024

/**
 * Opens a socket of a netlink protocol (NETLINK_*) in the thread's network namespace.
 *
 * @param roomBytes memory for one datagram.
 */
export function openNetlinkSocket(
  protocol: number,
  receiveBufferBytes: number | undefined,
  roomBytes: number = RECEIVE_BYTES,
): NetlinkTransport {
  const owned = sys.socket(sys.AF_NETLINK, sys.SOCK_RAW | sys.SOCK_NONBLOCK, protocol)
  try {
    const { fd } = owned
    for (const option of [
      sys.NETLINK_CAP_ACK,
      sys.NETLINK_EXT_ACK,
      sys.NETLINK_GET_STRICT_CHK,
    ] as const) {
      sys.setsockoptInt(fd, sys.SOL_NETLINK, option, 1)
    }
    if (receiveBufferBytes !== undefined) setReceiveBuffer(fd, receiveBufferBytes)
    sys.bind(fd, sys.netlinkAddress())
    return new SocketTransport(owned, roomBytes)
  } catch (error) {
    owned.close()
    throw error
  }
}

/** Sets the receive buffer. Beyond net.core.rmem_max that takes CAP_NET_ADMIN. */
function setReceiveBuffer(fd: Fd, bytes: number): void {
  try {
    sys.setsockoptInt(fd, sys.SOL_SOCKET, sys.SO_RCVBUFFORCE, bytes)
  } catch (error) {
    if (!(error instanceof sys.LinuxError) || error.errno !== 'EPERM') throw error
    sys.setsockoptInt(fd, sys.SOL_SOCKET, sys.SO_RCVBUF, bytes)
  }
}

class SocketTransport implements NetlinkTransport {
  readonly #socket: OwnedFd
  readonly #memory: Uint8Array
  readonly #incoming = new sys.SocketMessage({ nameBytes: 12 })
  readonly #outgoing = new sys.SocketMessage()
  #watch: sys.Watch | undefined
  #referenced = true

  constructor(socket: OwnedFd, roomBytes: number) {
    this.#socket = socket
    this.#memory = new Uint8Array(roomBytes)
    this.#incoming.setBytes(0, this.#memory)
  }

  send(message: Uint8Array): void {
    this.#outgoing.setBytes(0, message)
    // The kernel is the destination of a netlink socket without an address.
    this.#outgoing.send(this.#socket.fd, 0)
  }

  receive(): Received | undefined {
    for (;;) {
      let bytes: number | undefined
      try {
        // MSG_TRUNC: the datagram's own length is returned where it was cut.
        bytes = this.#incoming.receive(this.#socket.fd, sys.MSG_TRUNC)
      } catch (error) {
        if (error instanceof sys.LinuxError && error.errno === 'ENOBUFS') return { kind: 'overrun' }
        throw error
      }
      if (bytes === undefined) return undefined
      // Any process may send to this socket. The kernel's port is 0.
      if (sys.netlinkPort(this.#incoming.name) !== 0) continue
      const room = this.#memory.length
      if (bytes > room) return { kind: 'truncated', bytes, room }
      return { kind: 'datagram', bytes: this.#memory.subarray(0, bytes) }
    }
  }

  async readable(signal: AbortSignal | undefined): Promise<void> {
    this.#watch ??= sys.watch(this.#socket.fd, sys.POLLIN)
    const watch = this.#watch
    if (!this.#referenced) watch.unref()
    // Resolves the promise below. The next call watches again.
    const cancel = () => {
      watch.close()
      this.#watch = undefined
    }
    signal?.addEventListener('abort', cancel)
    await watch.ready()
    signal?.removeEventListener('abort', cancel)
  }

  join(group: number): void {
    sys.setsockoptInt(this.#socket.fd, sys.SOL_NETLINK, sys.NETLINK_ADD_MEMBERSHIP, group)
  }

  unref(): void {
    this.#referenced = false
    this.#watch?.unref()
  }

  close(): void {
    this.#watch?.close()
    this.#socket.close()
  }
}
