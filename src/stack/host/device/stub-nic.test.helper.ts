/** A NIC that writes whole frames to the buffers posted on queue 0, and misbehaves as it is told by rules. */

import { checkInteger } from '../../../errors.ts'
import type { DeviceParts, NicModel } from '../../device/device-parts.ts'
import type { DmaSpace } from '../../device/dma-space.ts'
import { linkKinds } from '../../device/link-kinds.ts'
import { DeviceError } from '../../device-error.ts'
import type { Link, LinkFrame } from '../../link/link.ts'
import { DeviceCounter, NicCounters, RxCounter } from '../../rings/nic-counters.ts'
import type { NicFeatures, RxQueueConfig, SteeringRule } from '../../rings/nic-types.ts'
import {
  type PostedBuffer,
  RX_END_OF_PACKET,
  RxCompletion,
  type RxFrontEnd,
} from '../../rings/rx-front-end.ts'
import type { Nic } from './nic.ts'

/** Misbehaviour of the stub, which a rule turns on. */
interface Mischief {
  readonly failStart: boolean
  readonly throwOnReceive: boolean
  readonly spin: boolean
  readonly refuse: boolean
  /** Times that it sends each frame back. */
  readonly echo: number
}

interface StubRule {
  readonly mischief?: Partial<Mischief>
  readonly showTimes?: boolean
}

/** Tells a stub what to do from now on. */
export async function misbehave(nic: Nic, mischief: Partial<Mischief>): Promise<void> {
  await nic.addRule(forStub({ mischief }))
}

/** Times at which a stub received its frames, in ns of its link's clock. */
export async function receiveTimes(nic: Nic): Promise<readonly number[]> {
  await nic.addRule(forStub({ showTimes: true }))
  return await nic.rssTable()
}

export const stubFeatures: NicFeatures = {
  rxQueues: 1,
  txQueues: 1,
  verifiesChecksums: false,
  pause: false,
  maxFrameBytes: 65553,
}

class StubNic implements NicModel {
  readonly features: NicFeatures
  readonly paused = false
  readonly counters = new NicCounters(1, 1)
  #mischief: Mischief = {
    failStart: false,
    throwOnReceive: false,
    spin: false,
    refuse: false,
    echo: 0,
  }
  readonly steering = this
  readonly #dma: DmaSpace
  readonly #link: Link
  readonly #queues: number
  readonly #started = new Map<number, RxFrontEnd>()
  readonly #rules = new Map<number, object>()
  readonly #times: number[] = []
  readonly #posted: PostedBuffer = { id: 0, region: 0, offset: 0, bytes: 0 }
  readonly #completion = new RxCompletion()
  #table: readonly number[] = [0, 0, 0, 0]
  #nextRule = 1

  constructor(queues: number, dma: DmaSpace, link: Link, settings: object) {
    this.features = { ...stubFeatures, ...settings }
    this.#queues = checkInteger('queues', queues, 1, 256)
    this.#dma = dma
    this.#link = link
  }

  startQueue(queue: number, frontEnd: RxFrontEnd, _config: object): void {
    if (this.#mischief.failStart) {
      throw new DeviceError('NETMEM_NIC_BUSY', 'EBUSY', 'The queue did not start, as told.')
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

  addRule(rule: SteeringRule & StubRule): number {
    if (rule.mischief !== undefined) this.#mischief = { ...this.#mischief, ...rule.mischief }
    if (rule.showTimes === true) this.#table = this.#times
    this.#rules.set(this.#nextRule, rule)
    return this.#nextRule++
  }

  removeRule(id: number): void {
    if (!this.#rules.delete(id)) throw new TypeError('no such rule')
  }

  setRssTable(table: readonly number[]): void {
    this.#table = table
  }

  get rssTable(): number[] {
    return [...this.#table]
  }

  setRssKey(key: Uint8Array): void {
    this.rssKey = new Uint8Array(key)
  }

  rssKey: Uint8Array = new Uint8Array(40)

  transmit(): number {
    return 0
  }

  receive(nowNs: number, budget: number): number {
    if (this.#mischief.throwOnReceive) throw new TypeError('a mistake in the NIC')
    // The counter says that it answers nothing any more.
    if (this.#mischief.spin) this.counters.device.add(DeviceCounter.tx_pause_frames)
    for (; this.#mischief.spin; );
    if (this.#mischief.refuse) return 0
    let frames = 0
    for (; frames < budget; frames++) {
      const frame = this.#link.receive(nowNs)
      if (frame === undefined) break
      this.#times.push(nowNs)
      this.#take(frame)
      for (let echo = 0; echo < this.#mischief.echo; echo++) this.#link.transmit(frame, nowNs)
    }
    return frames
  }

  #take({ memory, offset, length }: LinkFrame): void {
    const queue = this.#started.get(0)
    if (queue === undefined || !queue.peek(0, this.#posted) || queue.room() === 0) {
      this.counters.rx[0]?.add(RxCounter.rx_hw_drops)
      return
    }
    queue.take(1)
    this.#dma.memory(this.#posted.region)?.set(memory.view(offset, length), this.#posted.offset)
    this.#completion.id = this.#posted.id
    this.#completion.bytes = length
    this.#completion.flags = RX_END_OF_PACKET
    queue.complete(this.#completion)
    queue.flush()
    this.counters.rx[0]?.add(RxCounter.rx_packets)
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

/** Passes a value to the stub where a type of the real NIC is expected. */
export function forStub<T>(value: object): T {
  const given: T = JSON.parse(JSON.stringify(value))
  return given
}
