/** Requests of ioctl(2) that attach to TUN and TAP interfaces, and that read and set interfaces. */

import {
  AF_INET,
  IFNAMSIZ,
  O_NONBLOCK,
  O_RDWR,
  SIOCGIFMTU,
  SIOCSIFMTU,
  SOCK_DGRAM,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from './constants.ts'
import { ioctl, open } from './files.ts'
import { IFREQ } from './layouts.ts'
import { Pinned } from './libc.ts'
import type { Fd, OwnedFd } from './owned-fd.ts'
import { socket } from './sockets.ts'

/** One queue of a TUN or TAP interface. */
export interface Tun {
  readonly queue: OwnedFd
  /** The interface's name, which the kernel completes where it was given as `tap%d`. */
  readonly name: string
}

/**
 * Attaches a queue to a TUN or TAP interface in the network namespace of this thread. Makes the interface
 * if there is none of that name. Calls on the queue never wait.
 *
 * @param name at most 15 bytes.
 * @param flags IFF_TAP and others.
 */
export function openTun(name: string, flags: number): Tun {
  const queue = open('/dev/net/tun', O_RDWR | O_NONBLOCK)
  try {
    const request = interfaceRequest(name)
    request.view.setInt16(IFREQ.FLAGS, flags, true)
    ioctl(queue.fd, TUNSETIFF, request.address)
    const bytes = request.bytes.subarray(0, request.bytes.indexOf(0))
    return { queue, name: new TextDecoder().decode(bytes) }
  } catch (error) {
    queue.close()
    throw error
  }
}

/** Says which frames are read from a queue as they are, by TUN_F_*: the kernel finishes all others. */
export function setTunOffload(queue: Fd, features: number): void {
  ioctl(queue, TUNSETOFFLOAD, features)
}

/** Returns the MTU of an interface in this thread's network namespace. */
export function interfaceMtu(name: string): number {
  const request = interfaceRequest(name)
  using any = socket(AF_INET, SOCK_DGRAM)
  ioctl(any.fd, SIOCGIFMTU, request.address)
  return request.view.getInt32(IFREQ.MTU, true)
}

/** Sets the MTU of an interface in this thread's network namespace. */
export function setInterfaceMtu(name: string, mtu: number): void {
  const request = interfaceRequest(name)
  request.view.setInt32(IFREQ.MTU, mtu, true)
  using any = socket(AF_INET, SOCK_DGRAM)
  ioctl(any.fd, SIOCSIFMTU, request.address)
}

function interfaceRequest(name: string): Pinned {
  const request = new Pinned(IFREQ.BYTES)
  request.bytes.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1))
  return request
}
