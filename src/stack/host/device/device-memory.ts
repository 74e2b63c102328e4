/// <reference lib="esnext.disposable" preserve="true" />
/** Device memory, dma-bufs and hashes in the stack's thread: by number, never by bytes. */

import { ownOptions } from '../../../errors.ts'
import { DeviceError } from '../../device-error.ts'
import type { ExportOptions } from '../../rings/control.ts'
import type { DmaBufAttachment } from '../driver/bind-rx.ts'
import type { DriverNic } from '../driver/driver-nic.ts'
import { Nic } from './nic.ts'
import type { DeviceTransport } from './worker-transport.ts'

/** Memory of a device. */
export class DeviceMemory implements AsyncDisposable {
  /** Size of the memory in bytes. */
  readonly bytes: number
  readonly #transport: DeviceTransport
  readonly #memory: number
  #closed = false

  /** @internal */
  constructor(transport: DeviceTransport, memory: number, bytes: number) {
    this.#transport = transport
    this.#memory = memory
    this.bytes = bytes
  }

  /**
   * Exports a part of the memory.
   *
   * @throws NETMEM_DMABUF_INVALID unless the segments add up to `bytes` and fit in free memory.
   * @throws NETMEM_OUT_OF_RANGE
   */
  async exportDmaBuf(options: ExportOptions): Promise<DmaBuf> {
    const own = ownOptions('exportDmaBuf()', options, { bytes: true, segments: true })
    const id = await this.#transport.call('dmabuf-export', [this.#memory, own])
    return new DmaBuf(this.#transport, id, own.bytes)
  }

  /**
   * Frees the memory and closes its dma-bufs.
   *
   * @throws NETMEM_DMABUF_BUSY while a dma-buf is attached.
   */
  async close(): Promise<void> {
    await this.#transport.call('memory-free', [this.#memory])
    this.#closed = true
  }

  /** Closes the memory unless it is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.close()
  }
}

/** Part of a device's memory that NICs may be given. */
export class DmaBuf implements AsyncDisposable {
  /** Number of the dma-buf on its device. */
  readonly id: number
  /** Size of the dma-buf in bytes. */
  readonly bytes: number
  readonly #transport: DeviceTransport
  #closed = false

  /** @internal */
  constructor(transport: DeviceTransport, id: number, bytes: number) {
    this.#transport = transport
    this.id = id
    this.bytes = bytes
  }

  /**
   * Maps the dma-buf for a NIC. It may have several attachments.
   *
   * @throws NETMEM_BIND_UNSUPPORTED for a NIC of another device, NETMEM_NO_DEVICE,
   * NETMEM_DMABUF_INVALID.
   */
  async attach(nic: DriverNic): Promise<DmaBufAttachment & AsyncDisposable> {
    if (!(nic instanceof Nic) || nic.transport !== this.#transport) {
      throw new DeviceError(
        'NETMEM_BIND_UNSUPPORTED',
        'EOPNOTSUPP',
        'This NIC is not on the device that the dma-buf is of. Make both with one openDeviceThread().',
      )
    }
    const { attachment, segments } = await this.#transport.call('dmabuf-attach', [this.id, nic.id])
    let detached: Promise<void> | undefined
    const detach = (): Promise<void> =>
      (detached ??= this.#transport.call('dmabuf-detach', [attachment]))
    return { segments, detach, [Symbol.asyncDispose]: detach }
  }

  /**
   * Returns its bytes to the memory.
   *
   * @throws NETMEM_DMABUF_BUSY while it is attached.
   */
  async close(): Promise<void> {
    await this.#transport.call('dmabuf-close', [this.id])
    this.#closed = true
  }

  /** Closes the dma-buf unless it is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.close()
  }
}

/** Range of a dma-buf. */
export interface DeviceRange {
  /** Bytes from the dma-buf's start. */
  readonly offset: number
  /** Length in bytes. */
  readonly length: number
}

/** Ranges, or offset and length in turn, which costs less for many ranges. */
export type DeviceRanges = readonly DeviceRange[] | Float64Array

/** SHA-256 that the device computes, of a stream in device memory, in host memory, or both. */
export class DeviceHash implements AsyncDisposable {
  readonly #transport: DeviceTransport
  readonly #hash: number
  #closed = false

  /** @internal */
  constructor(transport: DeviceTransport, hash: number) {
    this.#transport = transport
    this.#hash = hash
  }

  /**
   * Adds ranges of a dma-buf, in order. Their memory may be reused once the promise resolves. The
   * next call need not wait for it.
   *
   * @throws NETMEM_DMA_FAULT, with nothing added, unless all ranges are in the dma-buf.
   */
  async update(dmabuf: DmaBuf, ranges: DeviceRanges): Promise<void> {
    const packed = pack(ranges)
    await this.#transport.call('hash-update', [this.#hash, dmabuf.id, packed], [packed.buffer])
  }

  /** Adds bytes of the host, which are copied. */
  async updateBytes(bytes: Uint8Array): Promise<void> {
    const data = new Uint8Array(bytes)
    await this.#transport.call('hash-bytes', [this.#hash, data], [data.buffer])
  }

  /** Returns the hash in hexadecimal, and closes it. */
  digest(): Promise<string> {
    this.#closed = true
    return this.#transport.call('hash-digest', [this.#hash])
  }

  /** Closes it without a result. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#transport.call('hash-close', [this.#hash])
  }

  /** Closes it unless it is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.close()
  }
}

/** Packs ranges into a copy, which can be transferred. */
function pack(ranges: DeviceRanges): Float64Array<ArrayBuffer> {
  if (ranges instanceof Float64Array) return new Float64Array(ranges)
  return Float64Array.from(ranges.flatMap(({ offset, length }) => [offset, length]))
}
