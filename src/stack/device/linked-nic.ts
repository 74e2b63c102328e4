/** One NIC of a device with its link, and the frames that it sends to the stack's thread. */

import type { Fd } from '../../linux/sys/index.ts'
import type { LinkFrame } from '../link/link.ts'
import type { NicEvent } from '../rings/control.ts'
import { type DeviceFailure, describeFailure, failureError } from '../rings/device-failure.ts'
import type { RxRingFaults } from '../rings/faulty-rx-ring.ts'
import type { NicModel } from './device-parts.ts'
import type { OpenedLink } from './link-kinds.ts'

/**
 * Sent frames that may wait for the stack's thread. Further frames are lost, as on a link without a
 * reader.
 */
const MAX_TRANSMITTED = 4096

/** Frames on their way to the stack's thread. */
export class Outbox {
  #frames: Uint8Array[] = []
  #sent = 0
  /** One word: frames that the stack's thread has taken. */
  readonly #taken: Int32Array

  constructor(taken: SharedArrayBuffer) {
    this.#taken = new Int32Array(taken)
  }

  /** Copies a frame. */
  put({ memory, offset, length }: LinkFrame): void {
    if (((this.#sent - Atomics.load(this.#taken, 0)) | 0) >= MAX_TRANSMITTED) return
    this.#sent = (this.#sent + 1) | 0
    this.#frames.push(memory.bytes.slice(offset, offset + length))
  }

  /** Returns the frames added since the last call. */
  take(): readonly Uint8Array[] {
    const frames = this.#frames
    if (frames.length > 0) this.#frames = []
    return frames
  }
}

export class LinkedNic {
  readonly nic: NicModel
  readonly opened: OpenedLink
  /** Faults of each receive ring that is started. */
  readonly ringFaults: RxRingFaults | undefined
  readonly #outbox: Outbox
  #up = false
  /** Time at which its link's clock began: when the link first came up. */
  #beganNs: number | undefined
  /** True once the stack knows that no frame will arrive any more. */
  #toldEnd = false
  #failure: DeviceFailure | undefined

  constructor(
    nic: NicModel,
    opened: OpenedLink,
    outbox: Outbox,
    ringFaults: RxRingFaults | undefined,
  ) {
    this.nic = nic
    this.opened = opened
    this.ringFaults = ringFaults
    this.#outbox = outbox
  }

  /** Sets the link up or down. Throws the failure of a NIC that has failed. */
  setUp(up: boolean, nowNs: number): void {
    if (up && this.#failure !== undefined) throw failureError(this.#failure)
    this.#up = up
    if (up) this.#beganNs ??= nowNs
  }

  /** Returns a time of the device's clock on the link's clock. */
  linkNs(nowNs: number): number {
    return this.#beganNs === undefined ? 0 : nowNs - this.#beganNs
  }

  /**
   * Returns the time on the device's clock at which the next frame is due. `Infinity` while the
   * link is down.
   */
  dueNs(): number {
    const beganNs = this.#beganNs
    if (!this.#up || beganNs === undefined) return Number.POSITIVE_INFINITY
    return this.nic.paused ? beganNs : beganNs + this.opened.link.nextAtNs()
  }

  /** Returns the descriptors to wait for: none while the NIC takes no frames. */
  descriptors(): readonly Fd[] {
    return this.#up && !this.nic.paused ? (this.opened.link.descriptors ?? []) : []
  }

  /** Receives what has arrived, at most `budget` frames, and returns how many. */
  receive(nowNs: number, budget: number): number {
    if (!this.#up) return 0
    try {
      return this.nic.receive(this.linkNs(nowNs), budget)
    } catch (error) {
      return this.#fail(error)
    }
  }

  /** Sends what drivers have posted, and returns how many packets. */
  transmit(nowNs: number): number {
    if (!this.#up) return 0
    try {
      return this.nic.transmit(this.linkNs(nowNs))
    } catch (error) {
      return this.#fail(error)
    }
  }

  /** Calls `emit` with what has happened since the last call. */
  tell(nic: number, emit: (event: NicEvent) => void): void {
    const frames = this.#outbox.take()
    if (frames.length > 0) emit({ kind: 'transmitted', nic, frames })
    if (this.#toldEnd) return
    const failure = this.#failure
    const { link, readFile } = this.opened
    if (failure === undefined && (!link.ended || this.nic.paused)) return
    this.#toldEnd = true
    emit({ kind: 'ended', nic, failure, file: failure === undefined ? readFile?.() : undefined })
  }

  /**
   * Takes the link down for good. A capture may turn out to be broken in its middle, and the other
   * NICs continue.
   *
   * @returns 0, since no frame was received.
   */
  #fail(error: unknown): number {
    this.#up = false
    this.#failure ??= describeFailure(error)
    return 0
  }
}
