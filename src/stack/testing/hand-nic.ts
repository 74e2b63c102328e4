/** A NIC for tests of drivers, moved by hand: one frame in, the completions of one packet out. */

import assert from 'node:assert/strict'
import { DmaSpace } from '../device/dma-space.ts'
import type { DriverNic } from '../host/driver/driver-nic.ts'
import { createDoorbell } from '../rings/doorbell.ts'
import type { RxQueueConfig } from '../rings/nic-types.ts'
import {
  type PostedBuffer,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_SPLIT,
  RxCompletion,
} from '../rings/rx-front-end.ts'
import { NicRxRing, type RxRings } from '../rings/shared-rings.ts'
import { NicTxRing, type TxRing } from '../rings/shared-tx-rings.ts'
import { TxPieces } from '../rings/tx-front-end.ts'

/**
 * NIC without hardware, link or thread. `receive` does what hardware would do with one frame that
 * was steered to a queue.
 */
export class HandNic implements DriverNic {
  readonly queues: number
  readonly doorbell: SharedArrayBuffer = createDoorbell()
  /** Memory that the NIC can reach. */
  readonly dma: DmaSpace = new DmaSpace()
  /** Config with which each queue was last started. */
  readonly configs: Map<number, RxQueueConfig> = new Map()
  readonly #regions = new Map<SharedArrayBuffer, number>()
  readonly #rings = new Map<number, NicRxRing>()
  readonly #txRings = new Map<number, NicTxRing>()
  /** Queues whose next start fails. */
  readonly failing: number[] = []

  constructor(queues = 4) {
    this.queues = queues
  }

  mapHost(memory: SharedArrayBuffer): Promise<number> {
    const region = this.#regions.get(memory) ?? this.dma.map(new Uint8Array(memory))
    this.#regions.set(memory, region)
    return Promise.resolve(region)
  }

  startQueue(queue: number, rings: RxRings, config: RxQueueConfig): Promise<void> {
    const at = this.failing.indexOf(queue)
    if (at >= 0) {
      this.failing.splice(at, 1)
      return Promise.reject(new Error('this queue does not start'))
    }
    assert.ok(queue < this.queues, `the NIC has the queues 0 to ${this.queues - 1}`)
    assert.ok(!this.#rings.has(queue), 'a queue is stopped before it is started again')
    this.#rings.set(queue, new NicRxRing(rings))
    this.configs.set(queue, config)
    return Promise.resolve()
  }

  stopQueue(queue: number): Promise<void> {
    assert.ok(this.#rings.delete(queue), 'only a queue that runs is stopped')
    return Promise.resolve()
  }

  /** True if the queue is started. */
  isRunning(queue: number): boolean {
    return this.#rings.has(queue)
  }

  startTxQueue(queue: number, ring: TxRing): Promise<void> {
    assert.ok(!this.#txRings.has(queue), 'a queue is stopped before it is started again')
    this.#txRings.set(queue, new NicTxRing(ring))
    return Promise.resolve()
  }

  stopTxQueue(queue: number): Promise<void> {
    assert.ok(this.#txRings.delete(queue), 'only a queue that runs is stopped')
    return Promise.resolve()
  }

  /**
   * Takes the packets that a driver has posted on a TX queue, at most `frames`, and returns them as
   * frames.
   */
  send(queue: number, frames: number = Number.POSITIVE_INFINITY): Uint8Array[] {
    const ring = this.#txRings.get(queue)
    assert.ok(ring !== undefined)
    const sent: Uint8Array[] = []
    const packet = new TxPieces()
    ring.posted()
    while (sent.length < frames && ring.read(packet)) {
      const { count, regions, offsets, lengths } = packet
      const frame: number[] = []
      for (let index = 0; index < count; index++) {
        const offset = offsets[index] ?? 0
        const memory = this.#memory(regions[index] ?? -1)
        frame.push(...memory.subarray(offset, offset + (lengths[index] ?? 0)))
      }
      ring.take()
      sent.push(Uint8Array.from(frame))
    }
    ring.rewind()
    ring.flush()
    return sent
  }

  /**
   * Writes headers to the header buffer, and payload to as many buffers as it takes. Returns false
   * when the ring is dry.
   */
  receive(queue: number, header: Uint8Array, payload: Uint8Array, split = true): boolean {
    const ring = this.#rings.get(queue)
    assert.ok(ring !== undefined)
    const data = split ? payload : new Uint8Array([...header, ...payload])
    const buffers: PostedBuffer[] = []
    for (let left = data.length; left > 0; ) {
      const buffer = { id: -1, region: -1, offset: 0, bytes: 0 }
      if (!ring.peek(buffers.length, buffer)) return false
      buffers.push(buffer)
      left -= buffer.bytes
    }
    const completion = new RxCompletion()
    if (split) {
      const place = { id: -1, region: -1, offset: 0, bytes: 0 }
      ring.headerBuffer(place)
      this.#memory(place.region).set(header, place.offset)
      completion.headerBytes = header.length
    }
    const flags = RX_CHECKSUM_OK | (split ? RX_SPLIT : 0)
    if (buffers.length === 0) {
      completion.flags = flags | RX_END_OF_PACKET
      ring.complete(completion)
    }
    let at = 0
    for (const [index, buffer] of buffers.entries()) {
      const part = data.subarray(at, at + buffer.bytes)
      at += part.length
      this.#memory(buffer.region).set(part, buffer.offset)
      completion.id = buffer.id
      completion.bytes = part.length
      completion.flags =
        flags |
        (index > 0 ? RX_CONTINUES : 0) |
        (index === buffers.length - 1 ? RX_END_OF_PACKET : 0)
      ring.complete(completion)
      completion.headerBytes = 0
    }
    ring.take(buffers.length)
    ring.flush()
    return true
  }

  #memory(region: number): Uint8Array {
    const memory = this.dma.memory(region)
    assert.ok(memory !== undefined, 'a driver posts memory that is mapped')
    return memory
  }
}
