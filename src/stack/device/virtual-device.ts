/**
 * A device: its memories and dma-bufs, address space, DMA engine and NICs. It answers control requests in
 * order. It does not depend on threads, and runs in a worker, or in tests beside the stack.
 */

import type { Fd } from '../../linux/sys/index.ts'
import { DeviceError } from '../device-error.ts'
import type {
  ControlHandlers,
  ControlKind,
  ControlReply,
  ControlRequest,
  NicEvent,
} from '../rings/control.ts'
import { DmaEngine, type RangeHash } from './dma/dma-engine.ts'
import { DmaSpace } from './dma/dma-space.ts'
import type { ExportedDmaBuf, MappedDmaBuf } from './memory/exported-dma-buf.ts'
import { MemoryBank } from './memory/memory-bank.ts'
import { type DeviceParts, NicTable } from './nic-table.ts'

export class VirtualDevice {
  /** True after the request that ends the device. */
  closed = false
  readonly #space = new DmaSpace()
  readonly #engine = new DmaEngine(this.#space)
  readonly #memories = new Numbered<MemoryBank>('device memory')
  readonly #dmaBufs = new Numbered<ExportedDmaBuf>('dma-buf')
  readonly #attachments = new Numbered<MappedDmaBuf>('attachment')
  readonly #hashes = new Numbered<RangeHash>('hash')
  readonly #hostRegions = new Set<number>()
  readonly #memoryOf = new Map<number, number>()
  readonly #nics: NicTable
  readonly #stepped: boolean
  readonly #handlers: ControlHandlers

  /**
   * @param stepped true if only `run` advances the clock.
   * @param emit gets what happens at a NIC unasked.
   */
  constructor(parts: DeviceParts, stepped: boolean, emit: (event: NicEvent) => void) {
    this.#nics = new NicTable(parts, this.#space, emit)
    this.#stepped = stepped
    this.#handlers = this.#makeHandlers()
  }

  /**
   * Answers a request.
   *
   * @throws the reason of a refused request, with nothing changed.
   */
  handle<K extends ControlKind>(request: ControlRequest<K>): ControlReply<K> {
    const kind: K = request.kind
    const handlers: ControlHandlers<K> = this.#handlers
    return handlers[kind](request)
  }

  /** Sets the clock and gives every NIC a turn. Returns the number of frames received and sent. */
  poll(nowNs: number): number {
    this.#nics.advanceTo(nowNs)
    return this.#nics.poll()
  }

  /** Sets the clock in ns from 0. */
  advanceTo(nowNs: number): void {
    this.#nics.advanceTo(nowNs)
  }

  /**
   * Returns the time of that clock at which the next frame is due, which may be past. `Infinity`
   * without one.
   */
  nextAtNs(): number {
    return this.#nics.nextAtNs()
  }

  /** Adds the descriptors of the kernel that say when a frame arrives. */
  addDescriptors(into: Fd[]): void {
    this.#nics.addDescriptors(into)
  }

  #makeHandlers(): ControlHandlers {
    const { handlers } = this.#nics
    return {
      ...handlers,
      'nic-create': (request) => {
        if (!this.#stepped || request.link.kind !== 'tap') return handlers['nic-create'](request)
        throw new DeviceError(
          'NETMEM_NIC_CONFIG',
          'EOPNOTSUPP',
          "The kernel's frames do not wait for a stepped clock. Open the device without { stepped: true }.",
        )
      },
      hello: () => undefined,
      'memory-create': ({ bytes }) => this.#memories.add(new MemoryBank(this.#space, bytes)),
      'memory-free': ({ memory }) => {
        this.#memories.get(memory).free()
        this.#memories.delete(memory)
        for (const [dmabuf, of] of this.#memoryOf) {
          if (of === memory) this.#forget(dmabuf)
        }
      },
      'dmabuf-export': ({ memory, ...options }) => {
        const dmabuf = this.#memories.get(memory).exportDmaBuf(this.#dmaBufs.next, options)
        this.#memoryOf.set(dmabuf.id, memory)
        return this.#dmaBufs.add(dmabuf)
      },
      'dmabuf-close': ({ dmabuf }) => {
        this.#dmaBufs.get(dmabuf).close()
        this.#forget(dmabuf)
      },
      'dmabuf-attach': ({ dmabuf, nic }) => {
        this.#nics.nic(nic)
        const attached = this.#dmaBufs.get(dmabuf).attach()
        return { attachment: this.#attachments.add(attached), segments: attached.segments }
      },
      'dmabuf-detach': ({ attachment }) => {
        this.#attachments.get(attachment).detach()
        this.#attachments.delete(attachment)
      },
      'dmabuf-read': ({ dmabuf, offset, bytes }) => {
        const from = this.#dmaBufs.get(dmabuf)
        from.checkRange(offset, bytes)
        const read = new Uint8Array(bytes)
        let at = 0
        from.eachPiece(offset, bytes, (region, start, length) => {
          read.set(this.#engine.view(region, start, length), at)
          at += length
        })
        return read
      },
      'dmabuf-write': ({ dmabuf, offset, data }) => {
        let at = 0
        this.#dmaBufs.get(dmabuf).eachPiece(offset, data.length, (region, start, length) => {
          this.#engine.write(region, start, data.subarray(at, at + length))
          at += length
        })
      },
      'hash-open': () => this.#hashes.add(this.#engine.startHash()),
      'hash-update': ({ hash, dmabuf, ranges }) => {
        const into = this.#hashes.get(hash)
        const from = this.#dmaBufs.get(dmabuf)
        const update = into.update.bind(into)
        // All ranges are checked first, so that a refused update adds nothing to the hash.
        for (let at = 0; at < ranges.length; at += 2) {
          from.checkRange(ranges[at] ?? -1, ranges[at + 1] ?? -1)
        }
        for (let at = 0; at < ranges.length; at += 2) {
          from.eachPiece(ranges[at] ?? -1, ranges[at + 1] ?? -1, update)
        }
      },
      'hash-bytes': ({ hash, data }) => void this.#hashes.get(hash).updateBytes(data),
      'hash-digest': ({ hash }) => {
        const digest = this.#hashes.get(hash).digest()
        this.#hashes.delete(hash)
        return digest
      },
      'hash-close': ({ hash }) => {
        this.#hashes.get(hash)
        this.#hashes.delete(hash)
      },
      'host-map': ({ memory }) => {
        const region = this.#space.map(new Uint8Array(memory))
        this.#hostRegions.add(region)
        return region
      },
      'host-unmap': ({ region }) => {
        if (!this.#hostRegions.delete(region)) {
          throw new DeviceError(
            'NETMEM_DMA_FAULT',
            'EFAULT',
            `Region ${region} is no host memory that mapHost() mapped. Unmap what it gave, once.`,
          )
        }
        this.#space.unmap(region)
      },
      run: ({ untilNs, frames }) => {
        if (this.#stepped) return this.#nics.run(untilNs, frames)
        throw new DeviceError(
          'NETMEM_NIC_CONFIG',
          'EINVAL',
          'This device runs by itself. Open it with { stepped: true } to let time pass by run() alone.',
        )
      },
      close: () => {
        this.#nics.close()
        this.closed = true
      },
    }
  }

  #forget(dmabuf: number): void {
    this.#dmaBufs.delete(dmabuf)
    this.#memoryOf.delete(dmabuf)
  }
}

/** Things by number, from 1. Numbers are not used again. */
class Numbered<T> {
  readonly #what: string
  readonly #things = new Map<number, T>()
  #last = 0

  constructor(what: string) {
    this.#what = what
  }

  /** The number that {@link add} returns next. */
  get next(): number {
    return this.#last + 1
  }

  add(thing: T): number {
    this.#things.set(++this.#last, thing)
    return this.#last
  }

  get(id: number): T {
    const thing = this.#things.get(id)
    if (thing !== undefined) return thing
    throw new DeviceError(
      'NETMEM_DMABUF_INVALID',
      'EBADF',
      `The device has no ${this.#what} ${id}; it was closed, or never was.`,
    )
  }

  delete(id: number): void {
    this.#things.delete(id)
  }
}
