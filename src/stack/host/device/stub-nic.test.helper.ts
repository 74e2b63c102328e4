/** A NIC that writes whole frames to the buffers posted on queue 0, and does as it is told by its knobs. */

import type { DmaSpace } from '../../device/dma/dma-space.ts'
import { linkKinds } from '../../device/link-kinds.ts'
import type { DeviceParts } from '../../device/nic-host.ts'
import type { NicPort } from '../../device/nic-port.ts'
import { DeviceError } from '../../device-error.ts'
import type { Link, LinkFrame } from '../../link/link.ts'
import type { NicFeatures, NicStats, RxQueueConfig } from '../../rings/nic-types.ts'
import {
  type PostedBuffer,
  RX_END_OF_PACKET,
  RxCompletion,
  type RxFrontEnd,
} from '../../rings/rx-front-end.ts'

interface StubStats {
  received: number
  dropped: number
  /** When frames were received, in ns of the link's clock. */
  times: number[]
  settings: object
}

export const stubFeatures: NicFeatures = {
  rxQueues: 1,
  txQueues: 1,
  rssTableEntries: 4,
  maxSteeringRules: 0,
  headerSplit: ['off'],
  deviceMemory: false,
  coalescing: false,
  verifiesChecksums: false,
  pause: false,
  maxFrameBytes: 65553,
}

class StubNic implements NicPort {
  readonly features = stubFeatures
  readonly paused = false
  knobs = { failStart: false, throwOnReceive: false, spin: false, echo: 0, refuse: false }
  readonly #dma: DmaSpace
  readonly #link: Link
  readonly #queues: number
  readonly #started = new Map<number, RxFrontEnd>()
  readonly #rules = new Map<number, object>()
  readonly #stats: StubStats = { received: 0, dropped: 0, times: [], settings: {} }
  readonly #posted: PostedBuffer = { id: 0, region: 0, offset: 0, bytes: 0 }
  readonly #completion = new RxCompletion()
  #table: Uint8Array
  #nextRule = 1

  constructor(queues: number, dma: DmaSpace, link: Link, settings: object) {
    this.#stats.settings = settings
    this.#queues = queues
    this.#dma = dma
    this.#link = link
    this.#table = new Uint8Array(4)
  }

  startQueue(queue: number, frontEnd: RxFrontEnd, _config: object): void {
    if (this.knobs.failStart) {
      throw new DeviceError('NETMEM_QUEUE_START', 'ENOMEM', 'The queue did not start, as told.')
    }
    if (queue >= this.#queues)
      throw new DeviceError('NETMEM_NIC_CONFIG', 'EINVAL', 'No such queue.')
    this.#started.set(queue, frontEnd)
  }

  startTxQueue(): void {}

  stopTxQueue(): void {}

  stopQueue(queue: number): void {
    this.#started.delete(queue)
  }

  addRule(rule: object): number {
    this.#rules.set(this.#nextRule, rule)
    return this.#nextRule++
  }

  removeRule(id: number): void {
    if (!this.#rules.delete(id)) throw new TypeError('no such rule')
  }

  setRssTable(table: readonly number[]): void {
    this.#table = Uint8Array.from(table)
  }

  get rssTable(): Uint8Array {
    return this.#table
  }

  stats(): NicStats {
    return forStub(this.#stats)
  }

  setKnobs(knobs: object): void {
    this.knobs = { ...this.knobs, ...knobs }
  }

  transmit(): number {
    return 0
  }

  receive(nowNs: number, budget: number): number {
    if (this.knobs.throwOnReceive) throw new TypeError('a mistake in the NIC')
    for (; this.knobs.spin; );
    if (this.knobs.refuse) return 0
    let frames = 0
    for (; frames < budget; frames++) {
      const frame = this.#link.receive(nowNs)
      if (frame === undefined) break
      this.#stats.times.push(nowNs)
      this.#take(frame)
      for (let echo = 0; echo < this.knobs.echo; echo++) this.#link.transmit(frame, nowNs)
    }
    return frames
  }

  #take({ memory, offset, length }: LinkFrame): void {
    const queue = this.#started.get(0)
    if (queue === undefined || !queue.peek(0, this.#posted) || queue.room() === 0) {
      this.#stats.dropped++
      return
    }
    queue.take(1)
    this.#dma.memory(this.#posted.region).set(memory.view(offset, length), this.#posted.offset)
    this.#completion.id = this.#posted.id
    this.#completion.bytes = length
    this.#completion.flags = RX_END_OF_PACKET
    queue.complete(this.#completion)
    queue.flush()
    this.#stats.received++
  }
}

export const stubParts: DeviceParts = {
  makeNic: ({ queues, dma, link, settings }) => new StubNic(queues, dma, link, settings),
  linkKinds,
}

/** The stub does as it likes with it. */
export const STUB_CONFIG: RxQueueConfig = {
  split: 'off',
  splitThresholdBytes: 0,
  boundToDevice: false,
  coalesce: false,
}

/** What the stub takes where the NIC's own types are asked for. */
export function forStub<T>(value: object): T {
  const given: T = JSON.parse(JSON.stringify(value))
  return given
}
