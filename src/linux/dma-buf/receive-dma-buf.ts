/** Takes a dma-buf that another process offers. */

import { LifetimeError } from '../../errors.ts'
import {
  AF_UNIX,
  connect,
  controlSpace,
  LinuxError,
  type OwnedFd,
  POLLIN,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SocketMessage,
  socket,
  unixAddressOf,
  watch,
} from '../sys/index.ts'
import { adoptDescriptors } from './adopt-dma-buf.ts'
import type { DmaBuf } from './dma-buf.ts'
import type { OfferedBinding } from './offer-dma-buf.ts'
import { isForbidden } from './open-exporter.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DMABUF_NOT_OFFERED: 'LinuxError'
    NETMEM_DMABUF_OFFER_ENDED: 'LifetimeError'
  }
}

/** A dma-buf that another process offered. */
export interface ReceivedDmaBuf {
  /** The memory. This process owns its descriptors from here. */
  readonly dmabuf: DmaBuf
  /** Binding to a network card, which lasts as long as the other process keeps it. */
  readonly binding: OfferedBinding | undefined
}

/** Most descriptors of a dma-buf: its own and its memfd's. */
const DESCRIPTORS = 2
const MESSAGE_BYTES = 64 * 1024

/**
 * Takes a dma-buf that another process offers with `offerDmaBuf`, or `netmem devmem prepare`.
 *
 * @param path socket of the offer.
 * @throws NETMEM_DMABUF_NOT_OFFERED if there is no offer, or this process may not take it,
 *   NETMEM_DMABUF_OFFER_ENDED, NETMEM_NOT_A_DMABUF if something else came, NETMEM_OUT_OF_RANGE or
 *   NETMEM_LINUX_UNAVAILABLE, as a rejection.
 *
 * @example
 * ```ts
 * import { createUdmabuf, offerDmaBuf, receiveDmaBuf } from 'netmem/linux'
 *
 * const dmabuf = createUdmabuf({ bytes: 2 ** 20 })
 * const offer = await offerDmaBuf({ path: '/tmp/example2.sock', dmabuf })
 * const same = await receiveDmaBuf('/tmp/example2.sock') // in another process
 * console.log(same.binding) // undefined: no card has it
 * await offer.close()
 * ```
 */
export async function receiveDmaBuf(path: string): Promise<ReceivedDmaBuf> {
  const address = unixAddressOf(path)
  using connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK)
  try {
    connect(connection.fd, address)
  } catch (cause) {
    if (!(cause instanceof LinuxError)) throw cause
    throw notOffered(path, cause)
  }
  const { text, descriptors } = await receive(connection, path)
  const dmabuf = adoptDescriptors(descriptors)
  return { dmabuf, binding: parseBinding(text) }
}

async function receive(
  connection: OwnedFd,
  path: string,
): Promise<{ readonly text: string; readonly descriptors: OwnedFd[] }> {
  const bytes = new Uint8Array(MESSAGE_BYTES)
  const message = new SocketMessage({ controlBytes: controlSpace(4 * DESCRIPTORS) })
  message.setBytes(0, bytes)
  const readable = watch(connection.fd, POLLIN)
  for (;;) {
    const length = message.receive(connection.fd)
    if (length === 0) {
      throw new LifetimeError(
        'NETMEM_DMABUF_OFFER_ENDED',
        `The process that offers a dma-buf at ${path} ended the offer. Try again when it offers one.`,
      )
    }
    if (length !== undefined) {
      const text = new TextDecoder().decode(bytes.subarray(0, length))
      return { text, descriptors: message.takeDescriptors() }
    }
    await readable.ready()
  }
}

function notOffered(path: string, cause: LinuxError): LinuxError {
  const { errno } = cause
  const remedy = isForbidden(errno)
    ? 'Ask who offers it for access to the socket.'
    : 'Start the process that offers it, such as `netmem devmem prepare`.'
  return new LinuxError(
    'NETMEM_DMABUF_NOT_OFFERED',
    `No dma-buf is offered at ${path} (${errno}). ${remedy}`,
    { cause, errno, syscall: 'connect' },
  )
}

/** Returns the binding of a message, or undefined without a valid binding. */
function parseBinding(text: string): OfferedBinding | undefined {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return undefined
  }
  const binding = property(message, 'binding')
  const id = property(binding, 'id')
  const ifindex = property(binding, 'ifindex')
  const queues = property(binding, 'queues')
  if (!isNumber(id) || !isNumber(ifindex) || !Array.isArray(queues)) return undefined
  return { id, ifindex, queues: queues.filter(isNumber) }
}

function property(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
