/// <reference lib="esnext.disposable" preserve="true" />
/** Device memory, dma-bufs and hashes in the stack's thread: by number, never by bytes. */

import { ownOptions } from '../../../errors.ts'
import { DeviceError } from '../../device-error.ts'
import type { ExportOptions } from '../../rings/control.ts'
import type { DmaBufAttachment } from '../driver/bind-rx.ts'
import type { DriverNic } from '../driver/driver-nic.ts'
import { DeviceObject } from './device-object.ts'
import { Nic } from './nic.ts'
import type { DeviceTransport } from './worker-transport.ts'

/** Memory of a device. Closing it frees it and closes its dma-bufs. */
export class DeviceMemory extends DeviceObject {
  /** Size of the memory in bytes. */
  readonly bytes: number

  /** @internal */
  constructor(transport: DeviceTransport, id: number, bytes: number) {
    super(transport, id, 'memory-free')
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
    const id = await this.transport.call('dmabuf-export', [this.id, own])
    return new DmaBuf(this.transport, id, own.bytes)
  }
}

/** Part of a device's memory that NICs may be given. Closing it returns its bytes to the memory. */
export class DmaBuf extends DeviceObject {
  /** Size of the dma-buf in bytes. */
  readonly bytes: number

  /** @internal */
  constructor(transport: DeviceTransport, id: number, bytes: number) {
    super(transport, id, 'dmabuf-close')
    this.bytes = bytes
  }

  /**
   * Maps the dma-buf for a NIC. It may have several attachments.
   *
   * @throws NETMEM_BIND_UNSUPPORTED for a NIC of another device, NETMEM_NO_DEVICE,
   * NETMEM_DMABUF_INVALID.
   */
  async attach(nic: DriverNic): Promise<DmaBufAttachment & AsyncDisposable> {
    if (!(nic instanceof Nic) || nic.transport !== this.transport) {
      throw new DeviceError(
        'NETMEM_BIND_UNSUPPORTED',
        'EOPNOTSUPP',
        'This NIC is not on the device that the dma-buf is of. Make both with one openDeviceThread().',
      )
    }
    const { attachment, segments } = await this.transport.call('dmabuf-attach', [this.id, nic.id])
    let detached: Promise<void> | undefined
    const detach = (): Promise<void> =>
      (detached ??= this.transport.call('dmabuf-detach', [attachment]))
    return { segments, detach, [Symbol.asyncDispose]: detach }
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
export class DeviceHash extends DeviceObject {
  /**
   * Adds ranges of a dma-buf, in order. Their memory may be reused once the promise resolves. The
   * next call need not wait for it.
   *
   * @throws NETMEM_DMA_FAULT, with nothing added, unless all ranges are in the dma-buf.
   */
  async update(dmabuf: DmaBuf, ranges: DeviceRanges): Promise<void> {
    const packed = pack(ranges)
    await this.transport.call('hash-update', [this.id, dmabuf.id, packed], [packed.buffer])
  }

  /** Adds bytes of the host, which are copied. */
  async updateBytes(bytes: Uint8Array): Promise<void> {
    const data = new Uint8Array(bytes)
    await this.transport.call('hash-bytes', [this.id, data], [data.buffer])
  }

  /** Returns the hash in hexadecimal, and closes it. */
  digest(): Promise<string> {
    this.isClosed = true
    return this.transport.call('hash-digest', [this.id])
  }
}

/** Packs ranges into a copy, which can be transferred. */
function pack(ranges: DeviceRanges): Float64Array<ArrayBuffer> {
  if (ranges instanceof Float64Array) return new Float64Array(ranges)
  return Float64Array.from(ranges.flatMap(({ offset, length }) => [offset, length]))
}
