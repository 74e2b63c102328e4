/// <reference lib="esnext.disposable" preserve="true" />
/** Passes a dma-buf to other processes: its descriptors, over a Unix socket (SCM_RIGHTS). */

import { chmodSync, chownSync, rmSync } from 'node:fs'
import { ArgumentTypeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import type { Binding } from '../../netmem.ts'
import {
  accept4,
  boundUnixSocket,
  controlSpace,
  dup,
  listen,
  MSG_NOSIGNAL,
  type OwnedFd,
  POLLIN,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SocketMessage,
  watch,
} from '../sys/index.ts'
import { DmaBuf } from './dma-buf.ts'

/** Binding of a dma-buf to a network card, as another process needs to know it. */
export interface OfferedBinding extends Binding {
  /** Number of the interface. */
  readonly ifindex: number
  /** RX queues that are bound. Empty for a binding to send with. */
  readonly queues: readonly number[]
}

/** Options of {@link offerDmaBuf}. */
export interface OfferDmaBufOptions {
  /** Place of the socket, at most 107 bytes. It is removed in the end. */
  readonly path: string
  /** Memory to pass. */
  readonly dmabuf: DmaBuf
  /** Binding of the memory to a network card, if it has one. The process that bound it keeps it. */
  readonly binding?: OfferedBinding
  /** Permissions of the socket. A process that may write to it gets the memory. 0o600 by default. */
  readonly mode?: number
  /** Number of the user that the socket is to belong to. This process's by default. */
  readonly uid?: number
}

const NAMES: OptionNames<OfferDmaBufOptions> = {
  path: true,
  dmabuf: true,
  binding: true,
  mode: true,
  uid: true,
}

/** Offer of a dma-buf to other processes, until it is closed. */
export interface DmaBufOffer extends AsyncDisposable {
  /** Processes that have taken the dma-buf so far. */
  readonly taken: number
  /** Ends the offer and removes the socket. Processes that have the memory keep it. */
  close(): Promise<void>
  /** Resolves when the offer has ended. */
  readonly closed: Promise<void>
}

const BACKLOG = 64

/**
 * Offers a dma-buf to other processes of this machine, which take it with `receiveDmaBuf`. They only need
 * the right to write to the socket. So a process with rights binds memory to a card, and a process
 * without rights receives into it. The offer keeps this process running.
 *
 * @param options socket, memory and binding.
 * @throws NETMEM_SYSCALL_FAILED where there cannot be such a socket, NETMEM_DMABUF_CLOSED,
 *   NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT or NETMEM_LINUX_UNAVAILABLE, as a rejection.
 *
 * @example
 * ```ts
 * import { createUdmabuf, offerDmaBuf, receiveDmaBuf } from 'netmem/linux'
 *
 * const dmabuf = createUdmabuf({ bytes: 2 ** 20 })
 * const offer = await offerDmaBuf({ path: '/tmp/example.sock', dmabuf })
 * const same = await receiveDmaBuf('/tmp/example.sock') // in another process
 * console.log(same.dmabuf.bytes)
 * await offer.close()
 * ```
 */
export async function offerDmaBuf(options: OfferDmaBufOptions): Promise<DmaBufOffer> {
  const { path, dmabuf, binding, mode = 0o600, uid } = ownOptions('offerDmaBuf()', options, NAMES)
  if (!(dmabuf instanceof DmaBuf)) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'offerDmaBuf() takes a DmaBuf as dmabuf: createUdmabuf() makes one.',
    )
  }
  checkInteger('mode', mode, 0, 0o777)
  if (uid !== undefined) checkInteger('uid', uid, 0, 2 ** 32 - 2)
  const listener = boundUnixSocket(path, SOCK_SEQPACKET)
  // The offer's own: the owner may close the dma-buf, and the numbers be used again.
  const copies: OwnedFd[] = []
  try {
    for (const fd of dmabuf.descriptors) copies.push(dup(fd))
    // No process can connect before listen(), so the permissions hold from the first moment.
    chmodSync(path, mode)
    if (uid !== undefined) chownSync(path, uid, -1)
    listen(listener.fd, BACKLOG)
    const message = new SocketMessage({ controlBytes: controlSpace(4 * copies.length) })
    message.setBytes(0, new TextEncoder().encode(JSON.stringify({ binding: binding ?? null })))
    message.setDescriptors(copies.map(({ fd }) => fd))
    return openOffer(listener, path, copies, message)
  } catch (error) {
    listener.close()
    for (const copy of copies) copy.close()
    rmSync(path, { force: true })
    throw error
  }
}

function openOffer(
  listener: OwnedFd,
  path: string,
  copies: readonly OwnedFd[],
  message: SocketMessage,
): DmaBufOffer {
  let taken = 0
  const give = (peer: OwnedFd): void => {
    try {
      message.send(peer.fd, MSG_NOSIGNAL)
      taken++
    } catch {
      // A peer that has gone takes no message.
    } finally {
      peer.close()
    }
  }
  const closed = serve(listener, give)
  const close = (): Promise<void> => {
    if (listener.open) {
      rmSync(path, { force: true })
      listener.close()
      for (const copy of copies) copy.close()
    }
    return closed
  }
  return {
    get taken() {
      return taken
    },
    closed,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Accepts peers until the listener is closed. */
async function serve(listener: OwnedFd, give: (peer: OwnedFd) => void): Promise<void> {
  const readable = watch(listener.fd, POLLIN)
  // Closing the listener ends the watch, which resolves with 0 then.
  while ((await readable.ready()) !== 0) {
    for (let peer = accept(listener); peer !== undefined; peer = accept(listener)) give(peer)
  }
}

function accept(listener: OwnedFd): OwnedFd | undefined {
  try {
    return accept4(listener.fd, SOCK_NONBLOCK)
  } catch {
    // The peer has gone already, or this process has no descriptor left for it.
    return undefined
  }
}
