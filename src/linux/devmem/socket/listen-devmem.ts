/// <reference lib="esnext.disposable" preserve="true" />
/** Listens for devmem connections. */

import type { Address } from '../../../connection.ts'
import { checkInteger, type OptionNames, ownOptions } from '../../../errors.ts'
import { aborted } from '../../../net/internal.ts'
import {
  accept4,
  bind,
  getsockname,
  type Ifindex,
  listen,
  type OwnedFd,
  POLLIN,
  parseInetAddress,
  SO_REUSEADDR,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  setsockoptInt,
  type Watch,
  watch,
} from '../../sys/index.ts'
import { connectionOf } from './adopt-devmem.ts'
import type { DevmemConnection } from './devmem-connection.ts'
import {
  checkDevmemOptions,
  DEVMEM_CONNECTION_OPTIONS,
  type DevmemConnectionOptions,
} from './devmem-options.ts'
import { watchInterface } from './interface-watch.ts'
import { checkHost, openTcpSocket } from './open-socket.ts'
import { checkInterface } from './route.ts'
import { isDisconnected } from './socket-error.ts'

/** Options of {@link listenDevmem}. Each accepted connection gets the options of connections. */
export interface ListenDevmemOptions extends DevmemConnectionOptions {
  /** TCP port. 0 takes a free one, which no flow rule knows yet. */
  readonly port: number
  /** Address of this machine to listen on, `0.0.0.0` by default. `::` takes IPv6 and IPv4. */
  readonly host?: string
  /** Connections that may wait to be accepted: 1 to 65535, 511 by default. */
  readonly backlog?: number
}

const NAMES: OptionNames<ListenDevmemOptions> = {
  ...DEVMEM_CONNECTION_OPTIONS,
  port: true,
  host: true,
  backlog: true,
}

/** Accepts devmem connections: iterate over it, or call {@link accept}. Accepted ones outlive it. */
export class DevmemListener implements AsyncIterable<DevmemConnection>, AsyncDisposable {
  /** Address that it listens on, with the port that the system chose for port 0. */
  readonly address: Address
  readonly #descriptor: OwnedFd
  readonly #options: DevmemConnectionOptions
  readonly #readable: Watch
  /** Ends when the last call of accept() so far has its connection. */
  #last: Promise<unknown> = Promise.resolve()
  readonly #abort = (): void => void this.close()
  readonly #ifindex: Ifindex
  readonly #unwatch: () => void
  /** Error of the interface's end. */
  #gone: Error | undefined

  /** @internal */
  constructor(descriptor: OwnedFd, options: DevmemConnectionOptions, ifindex: Ifindex) {
    this.#descriptor = descriptor
    this.#options = options
    this.#readable = watch(descriptor.fd, POLLIN)
    this.address = parseInetAddress(getsockname(descriptor.fd)) ?? { host: '', port: 0 }
    options.signal?.addEventListener('abort', this.#abort, { once: true })
    this.#ifindex = ifindex
    this.#unwatch = watchInterface(ifindex, (error) => {
      this.#gone = error
      this.#readable.cancel()
    })
  }

  /**
   * Accepts the next connection. Resolves with `undefined` once the listener is closed.
   *
   * @throws NETMEM_DEVMEM_NO_INTERFACE after the interface has gone, NETMEM_POOL_DESTROYED after the
   *   pool was destroyed, and NETMEM_SYSCALL_FAILED if no
   *   descriptor is left, as a rejection. The connection waits then.
   */
  accept(): Promise<DevmemConnection | undefined> {
    const accepted = this.#last.then(() => this.#accept())
    this.#last = accepted.catch(() => undefined)
    return accepted
  }

  /** Iterates over {@link accept}. Leaving the loop does not close the listener. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DevmemConnection, void, void> {
    for (let next = await this.accept(); next !== undefined; next = await this.accept()) yield next
  }

  /** Stops listening, and resolves at once. Connections that were not accepted are reset. */
  close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#unwatch()
    this.#descriptor.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Keeps the process alive while a call of {@link accept} waits: the default. */
  ref(): this {
    this.#readable.ref()
    return this
  }

  /** Lets the process end while a call of {@link accept} waits. */
  unref(): this {
    this.#readable.unref()
    return this
  }

  async #accept(): Promise<DevmemConnection | undefined> {
    while (this.#descriptor.open) {
      if (this.#gone !== undefined) throw this.#gone
      checkDevmemOptions(this.#options)
      const descriptor = accept4(this.#descriptor.fd, SOCK_NONBLOCK)
      if (descriptor === undefined) {
        await this.#readable.ready()
        continue
      }
      try {
        return connectionOf(descriptor, this.#options, this.#ifindex)
      } catch (error) {
        // The peer may have left before it was accepted.
        if (!isDisconnected(error)) throw error
      }
    }
    return undefined
  }
}

/**
 * Listens on the interface that the memory is bound to, and resolves when peers can connect. The signal
 * closes the listener and every connection that it accepted. Flows to the port have to be steered to
 * the bound queues before: see `prepareQueues`.
 *
 * @throws NETMEM_LISTEN_FAILED, NETMEM_DEVMEM_NO_INTERFACE, NETMEM_ABORTED or NETMEM_LINUX_UNAVAILABLE,
 *   as a rejection.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE, NETMEM_WRONG_KIND or NETMEM_POOL_DESTROYED for
 *   options that no listener can have.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { bindRx, createUdmabuf, listenDevmem, prepareQueues } from 'netmem/linux'
 *
 * const flows = [{ type: 'tcp4', destinationPort: 5201 }] as const
 * await using prepared = await prepareQueues({ ifindex: 2, queues: [3], flows })
 * const dmabuf = createUdmabuf({ bytes: 16 * 2 ** 20 })
 * using binding = await bindRx({ ifindex: 2, queues: [3], dmabuf })
 * const pool = createPool(hostProvider({ pages: 64 }))
 * await using listener = await listenDevmem({ pool, binding, port: 5201 })
 * for await (const connection of listener) {
 *   for await (const frag of connection) {
 *     if (frag.kind === 'net_iov') console.log(frag.offset, frag.length) // in the dma-buf
 *     frag.release()
 *   }
 *   await connection.close()
 * }
 * ```
 */
export async function listenDevmem(options: ListenDevmemOptions): Promise<DevmemListener> {
  const own = ownOptions('listenDevmem()', options, NAMES)
  const ifindex = checkDevmemOptions(own)
  const { host = '0.0.0.0', signal } = own
  checkHost(host)
  const port = checkInteger('port', own.port, 0, 65535)
  const backlog = checkInteger('backlog', own.backlog ?? 511, 1, 65535)
  if (signal?.aborted) throw aborted(signal.reason)
  return openTcpSocket(
    { code: 'NETMEM_LISTEN_FAILED', host, port, ifindex },
    () => checkInterface(ifindex),
    (descriptor, sockaddr) => {
      if (signal?.aborted) throw aborted(signal.reason)
      setsockoptInt(descriptor.fd, SOL_SOCKET, SO_REUSEADDR, 1)
      bind(descriptor.fd, sockaddr)
      listen(descriptor.fd, backlog)
      return new DevmemListener(descriptor, own, ifindex)
    },
  )
}
