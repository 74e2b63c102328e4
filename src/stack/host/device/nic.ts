/// <reference lib="esnext.disposable" preserve="true" />
/** A NIC in the stack's thread. */

import { ArgumentRangeError, type OptionNames, ownOptions } from '../../../errors.ts'
import type { DeviceError } from '../../device-error.ts'
import type { LinkFrame } from '../../link/link.ts'
import type { LinkSpec, TapReport } from '../../link/link-spec.ts'
import type { CallReply } from '../../rings/control.ts'
import type { RxRingFaults } from '../../rings/faulty-rx-ring.ts'
import { NicCounters } from '../../rings/nic-counters.ts'
import type {
  NicFeatures,
  NicSettings,
  NicStats,
  RxQueueConfig,
  SteeringRule,
} from '../../rings/nic-types.ts'
import type { RingParts } from '../../rings/ring-ends.ts'
import type { RxRings } from '../../rings/shared-rings.ts'
import type { TxRing } from '../../rings/shared-tx-rings.ts'
import type { DriverNic } from '../driver/driver-nic.ts'
import { DeviceObject } from './device-object.ts'
import { NicEvents } from './nic-events.ts'
import type { DeviceTransport } from './worker-transport.ts'

/** Options of {@link DeviceThread.openNic}. */
export interface NicOptions {
  /** RX queues: 1 to 256. 1 by default. */
  readonly queues?: number
  /** Description of the link, which the device opens. */
  readonly link: LinkSpec
  /** The NIC's own options. */
  readonly settings?: NicSettings
  /**
   * Faults between the NIC and its receive rings. None by default. Faults of the link belong in
   * `link`.
   */
  readonly ringFaults?: RxRingFaults
  /**
   * True, the default, if its link is up from the start. The link's clock begins when it first
   * comes up. A replay begins with `up: false`, and calls {@link Nic.up} once queues are started.
   */
  readonly up?: boolean
}

const NIC_OPTIONS: OptionNames<NicOptions> = {
  queues: true,
  link: true,
  settings: true,
  ringFaults: true,
  up: true,
}

const NIC_SETTINGS: OptionNames<NicSettings> = {
  txQueues: true,
  verifyChecksums: true,
  pause: true,
  pauseLimitMs: true,
  maxFrameBytes: true,
}

const INJECT_OPTIONS: OptionNames<InjectOptions> = { atNs: true, checksum: true }

/** Options of {@link Nic.inject}. */
export interface InjectOptions {
  /**
   * Time at which they arrive, in ns of the link's clock. At once by default, and never before
   * earlier frames.
   */
  readonly atNs?: number
  /** Coverage of their checksums. `complete` by default. */
  readonly checksum?: LinkFrame['checksum']
}

/** Device of a NIC: its {@link DeviceThread}. */
interface NicDevice {
  readonly doorbell: SharedArrayBuffer
  readonly transport: DeviceTransport
  mapHost(memory: SharedArrayBuffer): Promise<number>
}

/** NIC of a device. Its calls reject with the errors of the NIC, and with NETMEM_NO_DEVICE after `close()`. */
export class Nic extends DeviceObject implements DriverNic {
  readonly queues: number
  /** Abilities, and the settings it was made with. */
  readonly features: NicFeatures
  /**
   * Resolves when no frame will arrive any more and all frames have been received: the link has
   * ended or is closed. Resolves with the reason when the NIC, its link or the device has failed.
   */
  readonly ended: Promise<DeviceError | undefined>
  /** The TAP interface as it was opened. `undefined` for a link of another kind. */
  readonly tap: TapReport | undefined
  /** Doorbell of its queues' rings. */
  readonly doorbell: SharedArrayBuffer
  readonly #device: NicDevice
  readonly #counters: NicCounters
  readonly #events: NicEvents

  private constructor(
    device: NicDevice,
    id: number,
    events: NicEvents,
    { features, counters, tap }: CallReply<'nic-create'>,
  ) {
    super(device.transport, id, 'nic-close')
    this.queues = features.rxQueues
    this.features = features
    this.ended = events.ended
    this.tap = tap
    this.doorbell = device.doorbell
    this.#device = device
    this.#counters = new NicCounters(features.rxQueues, features.txQueues, counters)
    this.#events = events
  }

  /** @internal */
  static async make(device: NicDevice, nic: number, options: NicOptions): Promise<Nic> {
    const own = ownOptions('device.openNic()', options, NIC_OPTIONS)
    const { queues = 1, link, ringFaults, up = true } = own
    const settings = ownOptions('settings of device.openNic()', own.settings ?? {}, NIC_SETTINGS)
    const { transport } = device
    const events = new NicEvents(transport)
    transport.listen(nic, (event) => events.hear(event))
    try {
      if (link.kind === 'tap') transport.pollDescriptors()
      const parts = { queues, link, settings, ringFaults, up, taken: events.taken.buffer }
      const made = await transport.call('nic-create', [nic, parts])
      void transport.closed.then((failure) => events.finish(failure))
      return new Nic(device, nic, events, made)
    } catch (error) {
      transport.listen(nic, undefined)
      throw error
    }
  }

  /**
   * True if its link is a capture that ended within a record, as a file does that was cut off.
   * Known once the NIC has `ended`.
   */
  get truncated(): boolean {
    return this.#events.file.truncated
  }

  /**
   * Packets skipped because their interface of the capture is not Ethernet. Known once the NIC has
   * `ended`.
   */
  get otherLinkPackets(): number {
    return this.#events.file.otherLinkPackets
  }

  /** Maps shared memory of the host, as `DeviceThread.mapHost` does. */
  mapHost(memory: SharedArrayBuffer): Promise<number> {
    return this.#device.mapHost(memory)
  }

  /**
   * Starts a queue on rings that were made with the device's doorbell.
   *
   * @throws NETMEM_OUT_OF_RANGE for rings of another doorbell, NETMEM_NIC_CONFIG, NETMEM_NIC_BUSY,
   * NETMEM_BIND_HEADER_SPLIT.
   */
  async startQueue(queue: number, rings: RxRings, config: RxQueueConfig): Promise<void> {
    this.#checkDoorbell(rings)
    await this.transport.call('nic-start-queue', [this.id, queue, rings, config])
  }

  /** Stops a queue. The NIC does not write to its buffers afterwards. */
  async stopQueue(queue: number): Promise<void> {
    await this.transport.call('nic-stop-queue', [this.id, queue])
  }

  /**
   * Starts a transmit queue on a ring that was made with the device's doorbell.
   *
   * @throws NETMEM_OUT_OF_RANGE for a ring of another doorbell, NETMEM_NIC_CONFIG, NETMEM_NIC_BUSY.
   */
  async startTxQueue(queue: number, ring: TxRing): Promise<void> {
    this.#checkDoorbell(ring)
    await this.transport.call('nic-start-tx-queue', [this.id, queue, ring])
  }

  /** Stops a transmit queue. Posted packets that are not completed are not sent. */
  async stopTxQueue(queue: number): Promise<void> {
    await this.transport.call('nic-stop-tx-queue', [this.id, queue])
  }

  /** Adds a steering rule. Resolves with its number. */
  addRule(rule: SteeringRule): Promise<number> {
    return this.transport.call('nic-add-rule', [this.id, rule])
  }

  /** Removes a steering rule by the number that {@link addRule} resolved with. */
  async removeRule(rule: number): Promise<void> {
    await this.transport.call('nic-remove-rule', [this.id, rule])
  }

  /** Sets the RSS indirection table: 128 numbers of queues. */
  async setRssTable(table: readonly number[]): Promise<void> {
    await this.transport.call('nic-rss', [this.id, table])
  }

  /** Sets the RSS key of 40 bytes, by which flows are hashed. */
  async setRssKey(key: Uint8Array): Promise<void> {
    await this.transport.call('nic-rss-key', [this.id, key])
  }

  /** Resolves with the RSS key: 40 bytes. */
  rssKey(): Promise<Uint8Array> {
    return this.transport.call('nic-rss-key', [this.id])
  }

  /** Resolves with the RSS indirection table: 128 numbers of queues. */
  rssTable(): Promise<readonly number[]> {
    return this.transport.call('nic-rss', [this.id])
  }

  /**
   * Returns the counters as they are now, read from shared memory: also while the device is busy,
   * and after it has ended.
   */
  stats(): NicStats {
    return this.#counters.stats()
  }

  /**
   * True while the NIC pauses its link because a queue has no buffers, read from shared memory. Only
   * with the setting `pause`.
   */
  get paused(): boolean {
    return this.#counters.paused
  }

  /** Takes the link up. */
  async up(): Promise<void> {
    await this.transport.call('nic-link', [this.id, true])
  }

  /** Takes the link down. Frames that arrive wait, as far as the link has room. */
  async down(): Promise<void> {
    await this.transport.call('nic-link', [this.id, false])
  }

  /**
   * Injects copies of frames into a link of kind 'injected', in order. Resolves with the number of
   * frames that there was room for: the first ones.
   *
   * @throws NETMEM_NIC_CONFIG for a link of another kind.
   */
  async inject(frames: readonly Uint8Array[], options: InjectOptions = {}): Promise<number> {
    // Copies of the frames alone: a clone would copy all of the memory that they lie in.
    const copies = frames.map((frame) => new Uint8Array(frame))
    const { atNs, checksum = 'complete' } = ownOptions('nic.inject()', options, INJECT_OPTIONS)
    return await this.transport.call(
      'nic-inject',
      [this.id, copies, checksum, atNs],
      copies.map(({ buffer }) => buffer),
    )
  }

  /**
   * Yields the frames that the NIC sends on a link of kind 'injected', each to one reader. Ends when the
   * NIC or the device is closed. At most 4096 frames wait to be read, and more are lost.
   *
   * @throws the reason when the NIC or the device has failed.
   */
  transmitted(): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#events.transmitted()
  }

  /** Returns the frames that have come and were not read. */
  takeTransmitted(): Uint8Array[] {
    return this.#events.takeTransmitted()
  }

  /**
   * Removes the NIC from its device and closes its link. Attachments stay until they are detached.
   */
  override async close(): Promise<void> {
    await super.close()
    this.transport.listen(this.id, undefined)
    this.#events.finish(undefined)
  }

  #checkDoorbell({ doorbell }: RingParts): void {
    if (doorbell === this.doorbell) return
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      'These rings ring another doorbell. Make them with the doorbell of the device.',
    )
  }
}
