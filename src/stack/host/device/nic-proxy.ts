/** A NIC as the stack's thread has it. */

import { ArgumentRangeError } from '../../../errors.ts'
import type { DeviceError } from '../../device-error.ts'
import type { LinkFrame } from '../../link/link.ts'
import type { LinkSpec, ReadFile } from '../../link/link-spec.ts'
import type { NicEvent } from '../../rings/control.ts'
import { deviceError } from '../../rings/device-failure.ts'
import type {
  NicFeatures,
  NicKnobs,
  NicSettings,
  NicStats,
  RxQueueConfig,
  SteeringRule,
} from '../../rings/nic-types.ts'
import type { RxRings } from '../../rings/shared-rings.ts'
import type { TxRing } from '../../rings/shared-tx-rings.ts'
import type { DriverNic } from '../driver/driver-nic.ts'
import type { DeviceTransport } from './device-transport.ts'

/** How a NIC is made. */
export interface NicOptions {
  /** RX queues it has: 1 to 1024; 1 by default. */
  readonly queues?: number
  readonly link: LinkSpec
  /** The NIC's own options. */
  readonly settings?: NicSettings
  /**
   * Whether its link is up from the start, which is the default. The link's clock begins when it
   * first comes up; a replay begins with `up: false` and {@link NicProxy.up} once queues are started.
   */
  readonly up?: boolean
}

/** How frames are put on a wire. */
export interface InjectOptions {
  /** When they arrive, in ns of the link's clock: at once by default, never before earlier ones. */
  readonly atNs?: number
  /** What their checksums cover: `complete` by default. */
  readonly checksum?: LinkFrame['checksum']
}

/** Calls reject with the NIC's own errors, and with NETMEM_NO_DEVICE after `close()`. */
export class NicProxy implements DriverNic {
  /** Its number on its device. */
  readonly id: number
  readonly queues: number
  /**
   * Resolves when no frame will arrive any more and all that did have been received: because the
   * link has ended or is closed, or with the reason when it, its NIC or the device has failed.
   */
  readonly ended: Promise<DeviceError | undefined>
  /** What the rings of its queues are made with. */
  readonly doorbell: SharedArrayBuffer
  /** @internal */
  readonly transport: DeviceTransport
  readonly #mapHost: (memory: SharedArrayBuffer) => Promise<number>
  #features: NicFeatures | undefined
  /** One word: transmitted frames that were taken from here. */
  readonly #taken: Int32Array
  #arrived: Uint8Array[] = []
  #waiters: (() => void)[] = []
  #over = false
  #file: ReadFile = { truncated: false, otherLinkPackets: 0 }
  #failure: DeviceError | undefined
  #end: (failure: DeviceError | undefined) => void = () => {}

  private constructor(
    transport: DeviceTransport,
    doorbell: SharedArrayBuffer,
    mapHost: (memory: SharedArrayBuffer) => Promise<number>,
    taken: SharedArrayBuffer,
    id: number,
    queues: number,
  ) {
    this.transport = transport
    this.doorbell = doorbell
    this.#mapHost = mapHost
    this.#taken = new Int32Array(taken)
    this.id = id
    this.queues = queues
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  /** @internal */
  static async make(
    transport: DeviceTransport,
    doorbell: SharedArrayBuffer,
    mapHost: (memory: SharedArrayBuffer) => Promise<number>,
    id: number,
    { queues = 1, link, settings = {}, up = true }: NicOptions,
  ): Promise<NicProxy> {
    const taken = new SharedArrayBuffer(4)
    const nic = new NicProxy(transport, doorbell, mapHost, taken, id, queues)
    transport.listen(id, (event) => nic.#hear(event))
    const request = { kind: 'nic-create', nic: id, queues, link, settings, up, taken } as const
    try {
      nic.#features = await transport.call(request)
    } catch (error) {
      transport.listen(id, undefined)
      throw error
    }
    void transport.ended.then((failure) => nic.#finish(failure))
    return nic
  }

  /** What it can do; `undefined` before it is made. */
  get features(): NicFeatures | undefined {
    return this.#features
  }

  /** Whether its link is a capture that ended within a record, as files do that were cut off; known when it has `ended`. */
  get truncated(): boolean {
    return this.#file.truncated
  }

  /** Packets of a capture's interfaces that are not Ethernet, which were skipped; known when it has `ended`. */
  get otherLinkPackets(): number {
    return this.#file.otherLinkPackets
  }

  /** As `DeviceThread.mapHost`. */
  mapHost(memory: SharedArrayBuffer): Promise<number> {
    return this.#mapHost(memory)
  }

  /** Starts a queue on rings made with the device's doorbell; `config` is the NIC's. */
  async startQueue(queue: number, rings: RxRings, config: RxQueueConfig): Promise<void> {
    if (rings.doorbell !== this.doorbell) {
      throw new ArgumentRangeError(
        'NETMEM_OUT_OF_RANGE',
        'These rings ring another doorbell. Make them with makeRxRings(entries, headers, device.doorbell).',
      )
    }
    await this.transport.call({ kind: 'nic-start-queue', nic: this.id, queue, rings, config })
  }

  /** Stops a queue; afterwards the NIC writes to none of its buffers. */
  async stopQueue(queue: number): Promise<void> {
    await this.transport.call({ kind: 'nic-stop-queue', nic: this.id, queue })
  }

  /** Starts a transmit queue on a ring made with the device's doorbell. */
  async startTxQueue(queue: number, ring: TxRing): Promise<void> {
    await this.transport.call({ kind: 'nic-start-tx-queue', nic: this.id, queue, ring })
  }

  /** Stops a transmit queue: what is posted and not completed is not sent. */
  async stopTxQueue(queue: number): Promise<void> {
    await this.transport.call({ kind: 'nic-stop-tx-queue', nic: this.id, queue })
  }

  /** Adds a steering rule; its number. */
  addRule(rule: SteeringRule): Promise<number> {
    return this.transport.call({ kind: 'nic-add-rule', nic: this.id, rule })
  }

  async removeRule(rule: number): Promise<void> {
    await this.transport.call({ kind: 'nic-remove-rule', nic: this.id, rule })
  }

  async setRssTable(table: readonly number[]): Promise<void> {
    await this.transport.call({ kind: 'nic-rss', nic: this.id, table })
  }

  rssTable(): Promise<readonly number[]> {
    return this.transport.call({ kind: 'nic-rss', nic: this.id })
  }

  stats(): Promise<NicStats> {
    return this.transport.call({ kind: 'nic-stats', nic: this.id })
  }

  /** Sets some of the NIC's knobs for tests. */
  async setKnobs(knobs: NicKnobs): Promise<void> {
    await this.transport.call({ kind: 'nic-knob', nic: this.id, knobs })
  }

  /** The link comes up. */
  async up(): Promise<void> {
    await this.transport.call({ kind: 'nic-link', nic: this.id, up: true })
  }

  /** The link goes down: what arrives waits, as far as the link has room. */
  async down(): Promise<void> {
    await this.transport.call({ kind: 'nic-link', nic: this.id, up: false })
  }

  /**
   * Puts frames on a link of kind 'wire', in order; they are copied. Returns how many there was
   * room for: the first ones. Rejects with NETMEM_NIC_CONFIG for a link of another kind.
   */
  async inject(frames: readonly Uint8Array[], options: InjectOptions = {}): Promise<number> {
    // Copies of the frames alone: a clone would take all of the memory they lie in.
    const copies = frames.map((frame) => new Uint8Array(frame))
    const { atNs, checksum = 'complete' } = options
    return await this.transport.call(
      {
        kind: 'nic-inject',
        nic: this.id,
        frames: copies,
        checksum,
        ...(atNs === undefined ? {} : { atNs }),
      },
      copies.map(({ buffer }) => buffer),
    )
  }

  /**
   * The frames the NIC sends on a link of kind 'wire', each to one reader. Ends when the NIC or
   * the device is closed; throws the reason when one of them has failed. At most 4096 wait to be read; more are lost.
   */
  async *transmitted(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const frame = this.#arrived.shift()
      if (frame !== undefined) {
        Atomics.add(this.#taken, 0, 1)
        yield frame
      } else if (this.#failure !== undefined) {
        throw this.#failure
      } else if (this.#over) {
        return
      } else {
        await this.#more()
      }
    }
  }

  /** The frames that have come and were not read. */
  takeTransmitted(): Uint8Array[] {
    const frames = this.#arrived
    this.#arrived = []
    Atomics.add(this.#taken, 0, frames.length)
    return frames
  }

  /** Takes it off the device and closes its link. Attachments stay until they are detached. */
  async close(): Promise<void> {
    await this.transport.call({ kind: 'nic-close', nic: this.id })
    this.transport.listen(this.id, undefined)
    this.#finish(undefined)
  }

  #hear(event: NicEvent): void {
    if (event.kind === 'transmitted') {
      for (const frame of event.frames) this.#arrived.push(frame)
      this.#wake()
    } else if (event.failure !== undefined) {
      this.#finish(deviceError(event.failure))
    } else {
      if (event.file !== undefined) this.#file = event.file
      // It may still send.
      this.#end(undefined)
    }
  }

  #finish(failure: DeviceError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#failure = failure
    this.#end(failure)
    this.#wake()
  }

  async #more(): Promise<void> {
    this.transport.hold()
    try {
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    } finally {
      this.transport.release()
    }
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }
}
