/** Requests of a machine to its device: memory, interrupts, registers. All that they name is checked. */

import { isNetmemError } from '../errors.ts'
import type { Fd, OwnedFd } from '../linux/sys/index.ts'
import {
  DEVICE_INFO,
  DEVICE_INFO_PCI,
  DEVICE_INFO_RESET,
  DMA_MAP,
  DMA_MAP_READ,
  DMA_MAP_WRITE,
  DMA_UNMAP,
  DMA_UNMAP_ALL,
  IRQ_INFO,
  IRQ_INFO_EVENTFD,
  IRQ_INFO_NORESIZE,
  PCI_IRQS,
  PCI_MSIX_IRQ,
  PCI_REGIONS,
  REGION_ACCESS,
  REGION_INFO,
  readUint64,
  SET_IRQS,
  SET_IRQS_BOOL,
  SET_IRQS_DATA,
  SET_IRQS_EVENTFD,
  SET_IRQS_NONE,
  SET_IRQS_TRIGGER,
  VFIO_USER,
  writeUint64,
} from '../wire/vfio-user.ts'
import { DmaMaps, type DmaResult } from './dma-maps.ts'
import { MachineMemory } from './machine-memory.ts'
import type { MessageStream } from './message-stream.ts'
import { becomesEventfd, MsixVectors } from './msix-vectors.ts'
import type { PciBus, PciDevice } from './pci-device.ts'
import { Regions } from './regions.ts'
import { MAX_TRANSFER_BYTES, negotiateVersion } from './version.ts'

// K: include/uapi/asm-generic/errno-base.h, include/uapi/asm-generic/errno.h
const ENOENT = 2
const EEXIST = 17
export const EINVAL = 22
const ENOSPC = 28
const EOPNOTSUPP = 95

const DMA_ERRNO: { readonly [Result in DmaResult]: number } = {
  done: 0,
  invalid: -EINVAL,
  exists: -EEXIST,
  none: -ENOENT,
  'too many': -ENOSPC,
}

/** Fixed part of each request's body. A shorter one is refused. */
const BODY_BYTES: { readonly [command: number]: number } = {
  [VFIO_USER.VERSION]: 0,
  [VFIO_USER.DMA_MAP]: DMA_MAP.BYTES,
  [VFIO_USER.DMA_UNMAP]: DMA_UNMAP.BYTES,
  [VFIO_USER.DEVICE_GET_INFO]: DEVICE_INFO.BYTES,
  [VFIO_USER.DEVICE_GET_REGION_INFO]: REGION_INFO.BYTES,
  [VFIO_USER.DEVICE_GET_IRQ_INFO]: IRQ_INFO.BYTES,
  [VFIO_USER.DEVICE_SET_IRQS]: SET_IRQS.BYTES,
  [VFIO_USER.REGION_READ]: REGION_ACCESS.BYTES,
  [VFIO_USER.REGION_WRITE]: REGION_ACCESS.BYTES,
  [VFIO_USER.DEVICE_RESET]: 0,
}

export class DeviceRequests {
  readonly bus: PciBus
  readonly #device: PciDevice
  readonly #memory = new DmaMaps()
  readonly #machine: MachineMemory
  readonly #vectors: MsixVectors
  readonly #regions: Regions

  constructor(device: PciDevice, socket: Fd) {
    this.#device = device
    this.#machine = new MachineMemory(socket)
    this.#vectors = new MsixVectors(device.msix.vectors)
    this.#regions = new Regions(device, this.#vectors)
    this.bus = { memory: this.#memory, interrupt: (vector) => this.#vectors.raise(vector) }
  }

  /** Takes memory and interrupts from the device. */
  close(): void {
    this.#vectors.disable()
    this.#memory.unmapAll()
  }

  /**
   * Handles the framer's message, and writes the body of the reply at `replyAt`.
   *
   * @param descriptors those of the message. The ones that are kept are taken out.
   * @returns the bytes of the body, or a negative error number.
   * @throws NETMEM_VFIO_USER_* if the machine cannot have the device, and what the device throws.
   */
  handle(stream: MessageStream, descriptors: OwnedFd[]): number {
    const { command, bodyBytes } = stream.framer
    const least = BODY_BYTES[command]
    if (least === undefined) return -EOPNOTSUPP
    if (bodyBytes < least) return -EINVAL
    switch (command) {
      case VFIO_USER.REGION_WRITE:
        return this.#write(stream)
      case VFIO_USER.REGION_READ:
        return this.#read(stream)
      case VFIO_USER.VERSION:
        return greet(stream)
      case VFIO_USER.DMA_MAP:
        return this.#map(stream, descriptors)
      case VFIO_USER.DMA_UNMAP:
        return this.#unmap(stream)
      case VFIO_USER.DEVICE_GET_INFO:
        return deviceInfo(stream)
      case VFIO_USER.DEVICE_GET_REGION_INFO:
        return this.#regionInfo(stream)
      case VFIO_USER.DEVICE_GET_IRQ_INFO:
        return this.#irqInfo(stream)
      case VFIO_USER.DEVICE_SET_IRQS:
        return this.#setIrqs(stream, descriptors)
      default:
        this.#regions.reset()
        this.#vectors.reset()
        this.#device.reset()
        return 0
    }
  }

  #write({ framer, replies, replyAt }: MessageStream): number {
    const { view, bytes, bodyAt, bodyBytes } = framer
    const offset = readUint64(view, bodyAt + REGION_ACCESS.OFFSET)
    const region = view.getUint32(bodyAt + REGION_ACCESS.REGION, true)
    const count = view.getUint32(bodyAt + REGION_ACCESS.COUNT, true)
    if (count > bodyBytes - REGION_ACCESS.BYTES) return -EINVAL
    if (!this.#regions.has(region, offset, count)) return -EINVAL
    this.#regions.write(region, offset, view, bodyAt + REGION_ACCESS.BYTES, count)
    copy(replies, replyAt, bytes, bodyAt, REGION_ACCESS.BYTES)
    return REGION_ACCESS.BYTES
  }

  #read({ framer, replies, replyView, replyAt }: MessageStream): number {
    const { view, bytes, bodyAt } = framer
    const offset = readUint64(view, bodyAt + REGION_ACCESS.OFFSET)
    const region = view.getUint32(bodyAt + REGION_ACCESS.REGION, true)
    const count = view.getUint32(bodyAt + REGION_ACCESS.COUNT, true)
    if (count > MAX_TRANSFER_BYTES || !this.#regions.has(region, offset, count)) return -EINVAL
    copy(replies, replyAt, bytes, bodyAt, REGION_ACCESS.BYTES)
    this.#regions.read(region, offset, replyView, replyAt + REGION_ACCESS.BYTES, count)
    return REGION_ACCESS.BYTES + count
  }

  #map({ framer, replies, replyAt }: MessageStream, descriptors: readonly OwnedFd[]): number {
    const { view, bytes, bodyAt } = framer
    const flags = view.getUint32(bodyAt + DMA_MAP.FLAGS, true)
    const offset = readUint64(view, bodyAt + DMA_MAP.OFFSET)
    const address = readUint64(view, bodyAt + DMA_MAP.ADDRESS)
    const size = readUint64(view, bodyAt + DMA_MAP.SIZE)
    if (descriptors.length > 1 || (flags & ~(DMA_MAP_READ | DMA_MAP_WRITE)) !== 0) return -EINVAL
    const writable = (flags & DMA_MAP_WRITE) !== 0
    const fd = descriptors[0]?.fd
    this.#machine.check(fd, address, size, writable)
    let result: DmaResult
    try {
      result = this.#memory.map(fd, address, size, fd === undefined ? 0 : offset, writable)
    } catch (error) {
      // The file is too short, or cannot be mapped. The device lacks that memory.
      if (!isNetmemError(error)) throw error
      return -EINVAL
    }
    copy(replies, replyAt, bytes, bodyAt, DMA_MAP.BYTES)
    return result === 'done' ? DMA_MAP.BYTES : DMA_ERRNO[result]
  }

  #unmap({ framer, replies, replyAt }: MessageStream): number {
    const { view, bytes, bodyAt } = framer
    const flags = view.getUint32(bodyAt + DMA_UNMAP.FLAGS, true)
    const address = readUint64(view, bodyAt + DMA_UNMAP.ADDRESS)
    const size = readUint64(view, bodyAt + DMA_UNMAP.SIZE)
    if ((flags & ~DMA_UNMAP_ALL) !== 0) return -EINVAL
    if (flags === DMA_UNMAP_ALL) this.#memory.unmapAll()
    const result = flags === DMA_UNMAP_ALL ? 'done' : this.#memory.unmap(address, size)
    copy(replies, replyAt, bytes, bodyAt, DMA_UNMAP.BYTES)
    return result === 'done' ? DMA_UNMAP.BYTES : DMA_ERRNO[result]
  }

  #regionInfo({ framer, replyView: reply, replyAt }: MessageStream): number {
    const index = framer.view.getUint32(framer.bodyAt + REGION_INFO.INDEX, true)
    if (index >= PCI_REGIONS) return -EINVAL
    writeUint64(reply, replyAt + REGION_INFO.SIZE, this.#regions.bytes(index))
    writeUint64(reply, replyAt + REGION_INFO.SIZE + 8, 0)
    reply.setUint32(replyAt, REGION_INFO.BYTES, true)
    reply.setUint32(replyAt + REGION_INFO.FLAGS, this.#regions.flags(index), true)
    reply.setUint32(replyAt + REGION_INFO.INDEX, index, true)
    reply.setUint32(replyAt + REGION_INFO.INDEX + 4, 0, true)
    return REGION_INFO.BYTES
  }

  #irqInfo({ framer, replyView: reply, replyAt }: MessageStream): number {
    const index = framer.view.getUint32(framer.bodyAt + IRQ_INFO.INDEX, true)
    if (index >= PCI_IRQS) return -EINVAL
    const isMsix = index === PCI_MSIX_IRQ
    reply.setUint32(replyAt, IRQ_INFO.BYTES, true)
    reply.setUint32(
      replyAt + IRQ_INFO.FLAGS,
      isMsix ? IRQ_INFO_EVENTFD | IRQ_INFO_NORESIZE : 0,
      true,
    )
    reply.setUint32(replyAt + IRQ_INFO.INDEX, index, true)
    reply.setUint32(replyAt + IRQ_INFO.COUNT, isMsix ? this.#vectors.count : 0, true)
    return IRQ_INFO.BYTES
  }

  /** Sets a part of the vectors: QEMU sends those with eventfds and those without apart. */
  #setIrqs({ framer }: MessageStream, descriptors: OwnedFd[]): number {
    const { view, bodyAt, bodyBytes } = framer
    const flags = view.getUint32(bodyAt + SET_IRQS.FLAGS, true)
    const index = view.getUint32(bodyAt + SET_IRQS.INDEX, true)
    const start = view.getUint32(bodyAt + SET_IRQS.START, true)
    const count = view.getUint32(bodyAt + SET_IRQS.COUNT, true)
    if ((flags & ~SET_IRQS_DATA) !== SET_IRQS_TRIGGER || index >= PCI_IRQS) return -EINVAL
    const most = index === PCI_MSIX_IRQ ? this.#vectors.count : 0
    if (start > most || count > most - start) return -EINVAL
    switch (flags & SET_IRQS_DATA) {
      case SET_IRQS_NONE:
        if (descriptors.length > 0) return -EINVAL
        if (count === 0 && index === PCI_MSIX_IRQ) this.#vectors.disable()
        for (let vector = start; vector < start + count; vector++) this.#vectors.raise(vector)
        return 0
      case SET_IRQS_BOOL:
        if (descriptors.length > 0 || bodyBytes - SET_IRQS.BYTES < count) return -EINVAL
        for (let at = 0; at < count; at++) {
          if (view.getUint8(bodyAt + SET_IRQS.BYTES + at) !== 0) this.#vectors.raise(start + at)
        }
        return 0
      case SET_IRQS_EVENTFD: {
        const given = descriptors.length
        if ((given !== 0 && given !== count) || !descriptors.every(becomesEventfd)) return -EINVAL
        const kept = descriptors.splice(0)
        for (let at = 0; at < count; at++) this.#vectors.connect(start + at, kept[at])
        return 0
      }
      default:
        return -EINVAL
    }
  }
}

function greet({ framer, replies, replyAt }: MessageStream): number {
  const { bytes, bodyAt, bodyBytes } = framer
  const answer = negotiateVersion(bytes.subarray(bodyAt, bodyAt + bodyBytes))
  replies.set(answer, replyAt)
  return answer.length
}

function deviceInfo({ replyView: reply, replyAt }: MessageStream): number {
  reply.setUint32(replyAt, DEVICE_INFO.BYTES, true)
  reply.setUint32(replyAt + DEVICE_INFO.FLAGS, DEVICE_INFO_RESET | DEVICE_INFO_PCI, true)
  reply.setUint32(replyAt + DEVICE_INFO.REGIONS, PCI_REGIONS, true)
  reply.setUint32(replyAt + DEVICE_INFO.IRQS, PCI_IRQS, true)
  return DEVICE_INFO.BYTES
}

function copy(to: Uint8Array, at: number, from: Uint8Array, start: number, bytes: number): void {
  // A view of a few bytes would cost more than they.
  for (let index = 0; index < bytes; index++) to[at + index] = from[start + index] ?? 0
}
