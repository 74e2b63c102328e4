/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A dma-buf of this process: memory that devices and other processes may use, named by a descriptor
 * (Linux, Documentation/driver-api/dma-buf.rst).
 */

import { ArgumentTypeError, LifetimeError } from '../../errors.ts'
import {
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SYNC,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_READ,
  DMA_BUF_SYNC_WRITE,
  type Fd,
  ioctl,
  map,
  type OwnedFd,
  Pinned,
} from '../sys/index.ts'

declare module '../../errors.ts' {
  interface ErrorCodes {
    NETMEM_DMABUF_CLOSED: 'LifetimeError'
    NETMEM_DMABUF_IN_USE: 'LifetimeError'
  }
}

const SYNC_ACCESS: Readonly<Record<DmaBufAccess, number>> = {
  read: DMA_BUF_SYNC_READ,
  write: DMA_BUF_SYNC_WRITE,
  'read-write': DMA_BUF_SYNC_READ | DMA_BUF_SYNC_WRITE,
}

/** Direction of the host's access to a dma-buf. */
export type DmaBufAccess = 'read' | 'write' | 'read-write'

/** Uses of a dma-buf that exclude each other: pages of the host, or net_iovs of a device. */
export type DmaBufUse = 'page' | 'net_iov'

/** Descriptors of a dma-buf, and what is known of it. */
export interface DmaBufParts {
  readonly exporter: string
  readonly bytes: number
  readonly descriptor: OwnedFd
  /** The memfd behind a udmabuf. The host maps it in place of the dma-buf. */
  readonly memfd?: OwnedFd | undefined
  /** Bytes of the memfd's huge pages, if it has some. */
  readonly hugePageBytes?: number | undefined
}

/** A stretch of access by the host, begun by {@link DmaBuf.sync}. */
export interface DmaBufSync extends Disposable {
  /** Ends the access. A second call does nothing. */
  end(): void
}

/** Mapping of a dma-buf's memory, made by {@link DmaBuf.map}. */
export interface DmaBufMapping extends Disposable {
  /** The memory. After `unmap()` the view stays valid, and shows other memory than the dma-buf's. */
  readonly bytes: Uint8Array
  /** Takes the dma-buf's memory out of the view. A second call does nothing. */
  unmap(): void
}

/**
 * A dma-buf: made by `createUdmabuf`, `createDmaHeapBuffer` or `receiveDmaBuf`. It serves pages of the
 * host or net_iovs of devices, and never both at once. `close()` gives up the descriptors of this
 * process. The kernel frees the memory when the last process and the last device are done with it.
 *
 * @example
 * ```ts
 * import { createUdmabuf } from 'netmem/linux'
 *
 * const dmabuf = createUdmabuf({ bytes: 2 ** 20 })
 * const mapping = dmabuf.map()
 * const access = dmabuf.sync('read') // the device has written, and the host reads
 * console.log(mapping.bytes[0])
 * access.end()
 * mapping.unmap()
 * dmabuf.close()
 * ```
 */
export class DmaBuf implements Disposable {
  /** Maker of the dma-buf, as the kernel names it: `udmabuf`, a heap such as `system`, or a driver. */
  readonly exporter: string
  /** Size in bytes: whole pages. */
  readonly bytes: number
  readonly #parts: DmaBufParts
  #use: DmaBufUse | undefined
  #users = 0

  /** @internal */
  constructor(parts: DmaBufParts) {
    this.exporter = parts.exporter
    this.bytes = parts.bytes
    this.#parts = parts
  }

  /**
   * Descriptor of the dma-buf.
   *
   * @throws NETMEM_DMABUF_CLOSED after `close()`.
   */
  get fd(): Fd {
    this.#checkOpen()
    return this.#parts.descriptor.fd
  }

  /** @internal Descriptors that another process needs: the dma-buf's, and the memfd's if there is one. */
  get descriptors(): readonly Fd[] {
    const { memfd } = this.#parts
    return memfd === undefined ? [this.fd] : [this.fd, memfd.fd]
  }

  /** False after `close()`. */
  get open(): boolean {
    return this.#parts.descriptor.open
  }

  /**
   * Begins an access of the host to the memory, and returns an object that ends it. Devices and the
   * host may have caches of their own, which this call and its end bring up to date
   * (DMA_BUF_IOCTL_SYNC).
   *
   * @param access `read`, `write` or `read-write`.
   * @throws NETMEM_DMABUF_CLOSED after `close()`, NETMEM_INVALID_ARGUMENT, NETMEM_SYSCALL_FAILED.
   */
  sync(access: DmaBufAccess): DmaBufSync {
    const wanted = Object.hasOwn(SYNC_ACCESS, access) ? SYNC_ACCESS[access] : undefined
    if (wanted === undefined) {
      throw new ArgumentTypeError(
        'NETMEM_INVALID_ARGUMENT',
        `sync() takes 'read', 'write' or 'read-write', not ${JSON.stringify(access)}.`,
      )
    }
    this.#sync(wanted)
    let ended = false
    const end = (): void => {
      if (ended) return
      ended = true
      // A dma-buf that was closed during the access has no descriptor for the ioctl.
      if (this.open) this.#sync(wanted | DMA_BUF_SYNC_END)
    }
    return { end, [Symbol.dispose]: end }
  }

  /**
   * Maps the memory for the host: of a udmabuf the memfd behind it, which `O_DIRECT`, zero-copy sends
   * and io_uring accept as well. They refuse the mapping of a dma-buf itself, which is all there is of
   * another exporter's. At most 4 GiB.
   *
   * @param options - `shared` makes the view one of a `SharedArrayBuffer`, for threads.
   * @throws NETMEM_DMABUF_CLOSED after `close()`, NETMEM_OUT_OF_RANGE, NETMEM_SYSCALL_FAILED.
   */
  map(options: { readonly shared?: boolean } = {}): DmaBufMapping {
    const { fd } = this
    const { memfd, hugePageBytes } = this.#parts
    const file = memfd?.fd ?? fd
    const huge = hugePageBytes === undefined ? {} : { hugePageBytes }
    return options.shared === true
      ? map(file, this.bytes, { ...huge, shared: true })
      : map(file, this.bytes, huge)
  }

  /**
   * @internal Takes the dma-buf for a use, and returns a function that ends the use.
   *
   * @throws NETMEM_DMABUF_IN_USE while the dma-buf has the other use, NETMEM_DMABUF_CLOSED.
   */
  claim(use: DmaBufUse): () => void {
    this.#checkOpen()
    if (this.#users > 0 && this.#use !== use) {
      throw new LifetimeError(
        'NETMEM_DMABUF_IN_USE',
        use === 'page'
          ? 'This dma-buf serves devices as net_iovs, so the host cannot have it as pages. Unbind it and close its provider first, or make another dma-buf.'
          : 'This dma-buf serves the host as pages, so no device can have it as net_iovs. Close its provider first, or make another dma-buf.',
      )
    }
    this.#use = use
    this.#users++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#users--
    }
  }

  /**
   * Closes the descriptors of this process. A second call does nothing. Bindings and mappings keep the
   * memory.
   */
  close(): void {
    this.#parts.descriptor.close()
    this.#parts.memfd?.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #sync(value: number): void {
    const argument = new Pinned(DMA_BUF_SYNC.BYTES)
    argument.setUint64(DMA_BUF_SYNC.FLAGS, value)
    ioctl(this.fd, DMA_BUF_IOCTL_SYNC, argument.address)
  }

  #checkOpen(): void {
    if (this.#parts.descriptor.open) return
    throw new LifetimeError(
      'NETMEM_DMABUF_CLOSED',
      'This dma-buf is closed. Make another one, and close it when its last user is done.',
    )
  }
}
