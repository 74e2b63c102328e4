/**
 * A driver that means harm. It fills rings with descriptors that are nearly right, writes to registers
 * and doorbells, sends commands, and changes its memory at any time. One seed does the same each time.
 */

import { Random } from '../../random.ts'
import type { AccessBytes, PciDevice } from '../../vfio-user/index.ts'
import { setAddress } from './admin-client.test.helper.ts'
import { DriverModel } from './driver-model.test.helper.ts'
import { setAddressLe } from './driver-rx.test.helper.ts'
import type { GuestRamOptions } from './guest-ram.test.helper.ts'

const REGISTERS = 0
const DOORBELLS = 2
const HIGH_WORD = 2 ** 32
/** Entries of its rings: the least, so that they go round. */
const ENTRIES = 256
/** Acts between two good starts of the card, at most. */
const MAX_ACTS = 200
const OPCODES = [1, 2, 3, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x12, 0xff] as const

/** Options of a {@link HostileDriver}. */
export interface HostileOptions {
  /** 0 to 2^32 − 1. */
  readonly seed: number
  /** The guest's memory: 2 MiB are enough. */
  readonly ram: GuestRamOptions
  /**
   * Addresses outside the memory, below 2^64, that the card is told to write to. It is also told to write
   * up to 128 KiB behind the end of the memory.
   */
  readonly strays: readonly number[]
  /** Frames that it sends among others, of 2048 bytes at most. */
  readonly frames: readonly Uint8Array[]
  /** Queues each way. 2 by default. */
  readonly queues?: number
}

export class HostileDriver {
  /** Acts done. */
  acts = 0
  readonly #device: PciDevice
  readonly #options: HostileOptions
  readonly #random: Random
  readonly #tails = new Map<number, number>()
  #driver: DriverModel
  #sources: readonly { readonly address: number; readonly bytes: number }[] = []
  #left = 0

  constructor(device: PciDevice, options: HostileOptions) {
    this.#device = device
    this.#options = options
    this.#random = new Random(options.seed)
    this.#driver = this.restart()
  }

  /**
   * Resets the card and starts it as a good driver does, with all its queues.
   *
   * @throws if the card does not let a good driver.
   */
  restart(): DriverModel {
    const { ram, frames, queues = 2 } = this.#options
    const driver = new DriverModel(this.#device, ram)
    const { memory } = driver
    // A completion of an earlier ring would look like one of the next.
    memory.memory(memory.base, memory.bytes).fill(0)
    driver.admin.release()
    driver.probe()
    this.#sources = frames.map((frame) => {
      const address = memory.allocate(frame.length)
      memory.write(address, frame)
      return { address, bytes: frame.length }
    })
    const coalesce = this.#random.below(2) === 0
    driver.open({ queues, entries: ENTRIES, split: this.#random.below(2) === 0, coalesce })
    this.#tails.clear()
    this.#left = this.#random.below(MAX_ACTS)
    this.#driver = driver
    return driver
  }

  /** Does one act. */
  act(): void {
    if (this.#left-- === 0) this.restart()
    this.acts++
    const random = this.#random
    const kind = random.below(10)
    if (kind < 3) this.#transmit()
    else if (kind < 5) this.#post()
    else if (kind < 6) this.#behave()
    else if (kind < 7) this.#scribble()
    else if (kind < 8) this.#command()
    else if (kind < 9) this.#write(DOORBELLS, 4 * random.below(16), 4, this.#word())
    else this.#register()
  }

  /** Reads completions and posts buffers as a good driver does, as far as it still can. */
  #behave(): void {
    this.#model(() => this.#driver.poll())
  }

  /** Posts descriptors of packets, most of which have some sense. */
  #transmit(): void {
    const random = this.#random
    const queue = this.#pick(this.#driver.tx)
    const ring = this.#driver.memory.view(queue.descriptors, 16 * queue.entries)
    let tail = this.#tails.get(queue.queue) ?? 0
    for (let left = 1 + random.below(12); left > 0; left--) {
      const at = 16 * tail
      const kind = random.below(8)
      const source = this.#pick(this.#sources)
      const isFrame = random.below(2) === 0
      setAddressLe(ring, at, isFrame ? source.address : this.#address())
      ring.setUint32(at + 8, random.next(), true)
      ring.setUint16(at + 12, random.next() & 0xffff, true)
      ring.setUint16(at + 14, isFrame ? source.bytes : random.below(0x4000), true)
      if (kind < 5) ring.setUint8(at + 8, 0xc | (random.next() & 0xe0))
      else if (kind === 5) {
        ring.setUint16(
          at + 4,
          random.below(3) === 0 ? random.below(64) : random.below(0x4000),
          true,
        )
        ring.setUint8(at + 6, random.below(2) === 0 ? 54 : random.below(256))
        ring.setUint8(at + 8, 0x5)
      } else if (kind === 6) ring.setUint8(at + 8, 0x4)
      tail = (tail + 1) % queue.entries
    }
    this.#tails.set(queue.queue, tail)
    this.#ring(queue.doorbell, tail)
  }

  /** Posts buffers that are somewhere. */
  #post(): void {
    const random = this.#random
    const { options, buffers, doorbell } = this.#pick(this.#driver.rx)
    const ring = this.#driver.memory.view(buffers, 32 * options.entries)
    for (let left = 1 + random.below(40); left > 0; left--) {
      const at = 32 * random.below(options.entries)
      ring.setUint16(at, random.next() & 0xffff, true)
      setAddressLe(ring, at + 8, this.#address())
      setAddressLe(ring, at + 16, this.#address())
    }
    this.#ring(doorbell, random.below(options.entries))
  }

  /** Changes words of its rings and of what the card has written. */
  #scribble(): void {
    const { memory } = this.#driver
    for (let left = 1 + this.#random.below(20); left > 0; left--) {
      const at = 4 * this.#random.below(memory.bytes / 4)
      memory.view(memory.base + at, 4).setUint32(0, this.#word())
    }
  }

  #command(): void {
    const random = this.#random
    this.#model(() =>
      this.#driver.admin.execute(this.#pick(OPCODES), (args) => {
        for (let at = 0; at < 56; at += 8) {
          if (random.below(3) === 0) setAddress(args, at, this.#address())
          else {
            args.setUint32(at, this.#word())
            args.setUint32(at + 4, this.#word())
          }
        }
      }),
    )
  }

  #register(): void {
    const bytes = this.#pick([1, 2, 4, 4, 4] as const)
    const at = bytes * this.#random.below(64 / bytes)
    if (this.#random.below(2) === 0) this.#device.read(REGISTERS, at, bytes)
    else this.#write(REGISTERS, at, bytes, this.#word() % 2 ** (8 * bytes))
  }

  #write(bar: number, offset: number, bytes: AccessBytes, value: number): void {
    this.#device.write(bar, offset, bytes, value)
  }

  #ring(doorbell: number, tail: number): void {
    // The guest may have overwritten the number that the card had told.
    if (doorbell < 1024) this.#write(DOORBELLS, 4 * doorbell, 4, tail)
  }

  /** Calls the driver model, whose own complaints are about this driver's deeds. */
  #model(call: () => unknown): void {
    try {
      call()
    } catch {
      // Errors of the driver itself say nothing of the card.
    }
  }

  /** Returns an address in the memory, at its end, or outside. */
  #address(): number {
    const random = this.#random
    const { base, bytes } = this.#driver.memory
    switch (random.below(8)) {
      case 0:
        return this.#pick(this.#options.strays)
      case 1:
        return base + bytes - 1 - random.below(4096)
      default:
        return base + random.below(bytes)
    }
  }

  #word(): number {
    const random = this.#random
    switch (random.below(4)) {
      case 0:
        return random.next()
      case 1:
        return HIGH_WORD - 1 - random.below(16)
      default:
        return random.below(2048)
    }
  }

  #pick<T>(among: readonly T[]): T {
    const one = among[this.#random.below(among.length)]
    if (one === undefined) throw new Error('There is nothing to pick.')
    return one
  }
}
