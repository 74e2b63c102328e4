/** Device memory, dma-bufs and hashes as the stack's thread has them: by number, never by bytes. */

import type { DmaSegment } from '../../../providers/dma-address.ts'
import { DeviceError } from '../../device-error.ts'
import type { ExportOptions } from '../../rings/control.ts'
import type { DriverNic } from '../driver/driver-nic.ts'
import type { DeviceTransport } from './device-transport.ts'
import { Nic } from './nic.ts'

/** Memory of the device. */
export class DeviceMemory {
  readonly bytes: number
  readonly #transport: DeviceTransport
  readonly #memory: number

  /** @internal */
  constructor(transport: DeviceTransport, memory: number, bytes: number) {
    this.#transport = transport
    this.#memory = memory
    this.bytes = bytes
  }

  /**
   * Exports a part of it. Rejects with NETMEM_DMABUF_INVALID when the segments are not as long as
   * it together, or not enough is free for them; NETMEM_OUT_OF_RANGE.
   */
  async exportDmaBuf(options: ExportOptions): Promise<DmaBuf> {
    const { bytes } = options
    const id = await this.#transport.call({
      kind: 'dmabuf-export',
      memory: this.#memory,
      ...options,
    })
    return new DmaBuf(this.#transport, id, bytes)
  }

  /** Frees it and closes its dma-bufs. Rejects with NETMEM_DMABUF_BUSY while one is attached. */
  async free(): Promise<void> {
    await this.#transport.call({ kind: 'memory-free', memory: this.#memory })
  }
}

/** A part of a device's memory that NICs may be given. */
export class DmaBuf {
  readonly id: number
  readonly bytes: number
  readonly #transport: DeviceTransport

  /** @internal */
  constructor(transport: DeviceTransport, id: number, bytes: number) {
    this.#transport = transport
    this.id = id
    this.bytes = bytes
  }

  /**
   * Maps it for a NIC; there may be several attachments. Rejects with NETMEM_BIND_UNSUPPORTED for a
   * NIC of another device, NETMEM_NO_DEVICE, NETMEM_DMABUF_INVALID.
   */
  async attach(nic: DriverNic): Promise<DmaBufAttachment> {
    if (!(nic instanceof Nic) || nic.transport !== this.#transport) {
      throw new DeviceError(
        'NETMEM_BIND_UNSUPPORTED',
        'EOPNOTSUPP',
        'This NIC is not on the device that the dma-buf is of. Make both with one openDeviceThread().',
      )
    }
    const { attachment, segments } = await this.#transport.call({
      kind: 'dmabuf-attach',
      dmabuf: this.id,
      nic: nic.id,
    })
    return new DmaBufAttachment(this.#transport, this, attachment, segments)
  }

  /** Gives its memory back. Rejects with NETMEM_DMABUF_BUSY while it is attached. */
  async close(): Promise<void> {
    await this.#transport.call({ kind: 'dmabuf-close', dmabuf: this.id })
  }
}

/** A dma-buf as a NIC has it. */
export class DmaBufAttachment {
  readonly dmabuf: DmaBuf
  /** The scatter list, in the dma-buf's order: what `dmabufProvider` takes. */
  readonly segments: readonly DmaSegment[]
  readonly #transport: DeviceTransport
  readonly #attachment: number
  #detached: Promise<void> | undefined

  /** @internal */
  constructor(
    transport: DeviceTransport,
    dmabuf: DmaBuf,
    attachment: number,
    segments: readonly DmaSegment[],
  ) {
    this.#transport = transport
    this.dmabuf = dmabuf
    this.#attachment = attachment
    this.segments = segments
  }

  /** Unmaps it; to be called when nothing that was posted by its addresses is out. Harmless twice. */
  detach(): Promise<void> {
    this.#detached ??= this.#detach()
    return this.#detached
  }

  async #detach(): Promise<void> {
    await this.#transport.call({ kind: 'dmabuf-detach', attachment: this.#attachment })
  }
}

/** Bytes of a dma-buf. */
export interface DeviceRange {
  /** From the dma-buf's start. */
  readonly offset: number
  readonly length: number
}

/** Ranges, or the same as an offset and a length by turns, which costs less where there are many. */
export type DeviceRanges = readonly DeviceRange[] | Float64Array

/** A SHA-256 that the device makes: of a stream whose parts lie on it, or came over the host. */
export class DeviceHash {
  readonly #transport: DeviceTransport
  readonly #hash: number

  /** @internal */
  constructor(transport: DeviceTransport, hash: number) {
    this.#transport = transport
    this.#hash = hash
  }

  /**
   * Goes on with ranges of a dma-buf, in order; they may be used again once it resolves. Need not
   * be awaited before the next call. Rejects with NETMEM_DMA_FAULT, and has not gone on then.
   */
  async update(dmabuf: DmaBuf, ranges: DeviceRanges): Promise<void> {
    const packed = pack(ranges)
    await this.#transport.call(
      { kind: 'hash-update', hash: this.#hash, dmabuf: dmabuf.id, ranges: packed },
      [packed.buffer],
    )
  }

  /** Goes on with bytes of the host; they are copied. */
  async updateBytes(bytes: Uint8Array): Promise<void> {
    const data = new Uint8Array(bytes)
    await this.#transport.call({ kind: 'hash-bytes', hash: this.#hash, data }, [data.buffer])
  }

  /** The hash in hexadecimal; ends it. */
  digest(): Promise<string> {
    return this.#transport.call({ kind: 'hash-digest', hash: this.#hash })
  }

  /** Ends it without its hash. */
  async close(): Promise<void> {
    await this.#transport.call({ kind: 'hash-close', hash: this.#hash })
  }
}

/** Always a copy, so that it can be given away. */
function pack(ranges: DeviceRanges): Float64Array<ArrayBuffer> {
  if (ranges instanceof Float64Array) return new Float64Array(ranges)
  const packed = new Float64Array(2 * ranges.length)
  for (const [at, { offset, length }] of ranges.entries()) {
    packed[2 * at] = offset
    packed[2 * at + 1] = length
  }
  return packed
}
