/** Errors of devmem sockets: a code for each refusal of the kernel, its words, and a remedy. */

import {
  ArgumentTypeError,
  type CodeOf,
  ConnectionError,
  isNetmemError,
  LifetimeError,
} from '../../../errors.ts'
import { type ErrnoName, LinuxError } from '../../sys/index.ts'

declare module '../../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DEVMEM_KERNEL: 'LinuxError'
    NETMEM_DEVMEM_NOT_TCP: 'LinuxError'
    NETMEM_DEVMEM_READABLE: 'LinuxError'
    NETMEM_DEVMEM_OTHER_BINDING: 'LinuxError'
    NETMEM_DEVMEM_NO_TOKEN: 'LinuxError'
    NETMEM_DEVMEM_NOT_SENDABLE: 'LinuxError'
    NETMEM_DEVMEM_ROUTE: 'LinuxError'
    NETMEM_DEVMEM_SEND_RANGE: 'LinuxError'
    NETMEM_DEVMEM_SEND_LIMIT: 'LinuxError'
  }
}

/** Calls of a devmem socket that the kernel may refuse. */
export type DevmemCall = 'receive' | 'send' | 'sendDevice' | 'giveBack'

type CodeAndWords = readonly [CodeOf<'LinuxError'>, string]

const MEANINGS: {
  readonly [call in DevmemCall]: { readonly [name in ErrnoName]?: CodeAndWords }
} = {
  receive: {
    ENODEV: [
      'NETMEM_DEVMEM_OTHER_BINDING',
      'The payload lies in memory that is no dma-buf, such as that of io_uring. Bind the queue to a dma-buf.',
    ],
    ENOMEM: [
      'NETMEM_DEVMEM_NO_TOKEN',
      'The kernel has no memory for more tokens. Release frags, and receive less at once.',
    ],
    EFAULT: [
      'NETMEM_DEVMEM_KERNEL',
      'Device memory was received by a kernel that does not hand it to programs.',
    ],
  },
  send: {},
  sendDevice: {
    EINVAL: [
      'NETMEM_DEVMEM_NOT_SENDABLE',
      'There is no such binding to send with, or it is closed. Make one with bindTx(): that of bindRx() only receives.',
    ],
    ENODEV: [
      'NETMEM_DEVMEM_ROUTE',
      'The connection leaves by another interface than the one that the memory is bound to. Bind it to that one, or change the route.',
    ],
    EFAULT: [
      'NETMEM_DEVMEM_SEND_RANGE',
      'The range ends behind the memory. Keep offset and length inside of the dma-buf.',
    ],
    ENOBUFS: [
      'NETMEM_DEVMEM_SEND_LIMIT',
      'The kernel has no room for the notice of a completed send. Raise net.core.optmem_max.',
    ],
    EOPNOTSUPP: [
      'NETMEM_DEVMEM_KERNEL',
      'This kernel does not send out of device memory. Linux 6.16 and later do.',
    ],
  },
  giveBack: {
    ENOPROTOOPT: [
      'NETMEM_DEVMEM_KERNEL',
      'This kernel has no devmem TCP. Linux 6.12 and later have, with CONFIG_NET_DEVMEM.',
    ],
    EBADF: ['NETMEM_DEVMEM_NOT_TCP', 'Device memory comes by TCP alone. Pass a TCP socket.'],
  },
}

/** Makes the error that a connection fails with, of one that a call has thrown. */
export function socketError(call: DevmemCall, cause: unknown): Error {
  if (!(cause instanceof LinuxError)) {
    return cause instanceof Error ? cause : new Error(String(cause))
  }
  if (cause.code !== 'NETMEM_SYSCALL_FAILED') return cause
  const { errno, syscall } = cause
  const meaning = errno === undefined ? undefined : MEANINGS[call][errno]
  const words = firstSentence(cause.message)
  if (meaning !== undefined) {
    const [code, remedy] = meaning
    return new LinuxError(code, `${words} ${remedy}`, { cause, errno, syscall })
  }
  if (errno === 'ECONNRESET' || errno === 'EPIPE' || errno === 'ECONNABORTED') {
    const remedy = 'The peer ended the connection without finishing. The rest has to be sent again.'
    return new ConnectionError('NETMEM_CONNECTION_RESET', `${words} ${remedy}`, { cause })
  }
  return new ConnectionError('NETMEM_CONNECTION_FAILED', `${words} Connect again.`, { cause })
}

/** True of the error that the kernel has no room for another completion. */
export function isNoBuffers(error: unknown): boolean {
  return isNetmemError(error) && error instanceof LinuxError && error.errno === 'ENOBUFS'
}

function firstSentence(message: string): string {
  return /^.*?\([A-Z0-9]+\)\./.exec(message)?.[0] ?? message
}

/** True of the error of a call on a socket whose peer has left. */
export function isDisconnected(error: unknown): boolean {
  return error instanceof LinuxError && error.errno === 'ENOTCONN'
}

/** Error of a receiver while another one waits. */
export function receiverBusy(): LifetimeError {
  const words =
    'Another receiver waits for this connection. Await it first, or receive in one loop.'
  return new LifetimeError('NETMEM_BUSY', words)
}

/** Error of a connection that waits for memory of a pool that is destroyed. */
export function poolDestroyed(): LifetimeError {
  const words = 'The pool of this connection was destroyed while it waited for memory.'
  return new LifetimeError('NETMEM_POOL_DESTROYED', words)
}

/** Error of a write whose memory was taken away. */
export function detachedMemory(): Error {
  return new ArgumentTypeError(
    'NETMEM_DESTINATION_DETACHED',
    'The memory of a write was transferred or shrunk before it was sent. Keep it until the write is done.',
  )
}

/** Error of a connection that its peer reset after the end of its stream. */
export function resetAfterEnd(): ConnectionError {
  return new ConnectionError(
    'NETMEM_CONNECTION_RESET',
    'The peer finished sending, and reset the connection before it had all that was sent to it. Connect again.',
  )
}
