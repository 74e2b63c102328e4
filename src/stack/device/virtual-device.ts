/**
 * A device: its memories and dma-bufs, address space, hashes and NICs. It answers calls in order. It does
 * not depend on threads, and runs in a worker, or in tests beside the stack.
 */

import { createHash, type Hash } from 'node:crypto'
import { DeviceError } from '../device-error.ts'
import type {
  CallArguments,
  CallHandlers,
  CallName,
  CallReply,
  NicEvent,
} from '../rings/control.ts'
import type { DeviceParts } from './device-parts.ts'
import { DmaSpace } from './dma-space.ts'
import type { ExportedDmaBuf, MappedDmaBuf } from './memory/exported-dma-buf.ts'
import { MemoryBank } from './memory/memory-bank.ts'
import { NicTable } from './nic-table.ts'

export class VirtualDevice {
  /** True after the call that ends the device. */
  isClosed = false
  readonly nics: NicTable
  readonly #space = new DmaSpace()
  readonly #memories = new Numbered<MemoryBank>('device memory')
  readonly #dmaBufs = new Numbered<ExportedDmaBuf>('dma-buf')
  readonly #attachments = new Numbered<MappedDmaBuf>('attachment')
  readonly #hashes = new Numbered<Hash>('hash')
  readonly #hostRegions = new Set<number>()
  readonly #handlers: CallHandlers

  /**
   * @param stepped true if only the call `run` advances the clock.
   * @param emit gets what happens at a NIC unasked.
   */
  constructor(parts: DeviceParts, stepped: boolean, emit: (event: NicEvent) => void) {
    this.nics = new NicTable(parts, this.#space, stepped, emit)
    this.#handlers = this.#makeHandlers()
  }

  /**
   * Answers a call.
   *
   * @throws the reason of a refused call, with nothing changed.
   */
  handle<K extends CallName>(name: K, args: CallArguments<K>): CallReply<K> {
    const handlers: CallHandlers<K> = this.#handlers
    return handlers[name](...args)
  }

  #makeHandlers(): CallHandlers {
    return {
      ...this.nics.handlers,
      hello: () => {},
      'memory-create': (bytes) => this.#memories.add(() => new MemoryBank(this.#space, bytes)),
      'memory-free': (memory) => {
        for (const { id } of this.#memories.get(memory).free()) this.#dmaBufs.take(id)
        this.#memories.take(memory)
      },
      'dmabuf-export': (memory, options) =>
        this.#dmaBufs.add((id) => this.#memories.get(memory).exportDmaBuf(id, options)),
      'dmabuf-close': (dmabuf) => {
        this.#dmaBufs.get(dmabuf).close()
        this.#dmaBufs.take(dmabuf)
      },
      'dmabuf-attach': (dmabuf, nic) => {
        this.nics.nic(nic)
        const attached = this.#dmaBufs.get(dmabuf).attach()
        return { attachment: this.#attachments.add(() => attached), segments: attached.segments }
      },
      'dmabuf-detach': (attachment) => this.#attachments.take(attachment).detach(),
      'dmabuf-read': (dmabuf, offset, bytes) => {
        const pieces = this.#dmaBufs.get(dmabuf).pieces(offset, bytes)
        const read = new Uint8Array(bytes)
        let at = 0
        for (const piece of pieces) {
          read.set(piece, at)
          at += piece.length
        }
        return read
      },
      'dmabuf-write': (dmabuf, offset, data) => {
        let at = 0
        for (const piece of this.#dmaBufs.get(dmabuf).pieces(offset, data.length)) {
          piece.set(data.subarray(at, at + piece.length))
          at += piece.length
        }
      },
      'hash-open': () => this.#hashes.add(() => createHash('sha256')),
      'hash-update': (hash, dmabuf, ranges) => {
        const into = this.#hashes.get(hash)
        const from = this.#dmaBufs.get(dmabuf)
        const pieces: Uint8Array[] = []
        for (let at = 0; at < ranges.length; at += 2) {
          const range = from.pieces(ranges[at] ?? -1, ranges[at + 1] ?? -1)
          for (const piece of range) pieces.push(piece)
        }
        // All ranges have been found, so a refused update adds nothing to the hash.
        for (const piece of pieces) into.update(piece)
      },
      'hash-bytes': (hash, data) => void this.#hashes.get(hash).update(data),
      'hash-digest': (hash) => this.#hashes.take(hash).digest('hex'),
      'hash-close': (hash) => void this.#hashes.take(hash),
      'host-map': (memory) => {
        const region = this.#space.map(new Uint8Array(memory))
        this.#hostRegions.add(region)
        return region
      },
      'host-unmap': (region) => {
        if (!this.#hostRegions.delete(region)) {
          throw new DeviceError(
            'NETMEM_DMA_FAULT',
            'EFAULT',
            `Region ${region} is no host memory that mapHost() mapped. Unmap what it gave, once.`,
          )
        }
        this.#space.unmap(region)
      },
      close: () => {
        this.nics.close()
        this.isClosed = true
      },
    }
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

  add(make: (id: number) => T): number {
    const id = ++this.#last
    this.#things.set(id, make(id))
    return id
  }

  /** @throws NETMEM_DMABUF_INVALID if there is none of that number. */
  get(id: number): T {
    const thing = this.#things.get(id)
    if (thing !== undefined) return thing
    throw new DeviceError(
      'NETMEM_DMABUF_INVALID',
      'EBADF',
      `The device has no ${this.#what} ${id}; it was closed, or never was.`,
    )
  }

  /** Removes a thing and returns it, as {@link get} does. */
  take(id: number): T {
    const thing = this.get(id)
    this.#things.delete(id)
    return thing
  }
}
