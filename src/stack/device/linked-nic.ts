/** One NIC of a device with its link, and the frames that it sends to the stack's thread. */

import type { Fd } from '../../linux/sys/index.ts'
import type { Link, LinkFrame } from '../link/link.ts'
import type { ReadFile } from '../link/link-spec.ts'
import type { NicEvent } from '../rings/control.ts'
import { type DeviceFailure, describeFailure, failureError } from '../rings/device-failure.ts'
import { faultyRxRing, type RxRingFaults } from '../rings/faulty-rx-ring.ts'
import type { RxFrontEnd } from '../rings/rx-front-end.ts'
import type { InjectedLink } from './injected-link.ts'
import type { NicModel } from './nic-model.ts'

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

/** Parts of a {@link LinkedNic}. */
export interface LinkedNicParts {
  readonly nic: NicModel
  readonly link: Link
  /** The link that injected frames go to, if it takes any. */
  readonly injected?: InjectedLink
  readonly outbox: Outbox
  /** Result of reading the link's file, asked when the link has ended. */
  readonly readFile?: () => ReadFile
  readonly ringFaults: RxRingFaults | undefined
}

export class LinkedNic {
  readonly nic: NicModel
  readonly link: Link
  readonly injected: InjectedLink | undefined
  /** True if it did not take the frame that is due when it had its turn. */
  stuck = false
  readonly #outbox: Outbox
  readonly #readFile: (() => ReadFile) | undefined
  readonly #ringFaults: RxRingFaults | undefined
  #up = false
  /** Time at which its link's clock began: when the link first came up. */
  #beganNs: number | undefined
  /** True once the stack knows that no frame will arrive any more. */
  #toldEnd = false
  #failure: DeviceFailure | undefined

  constructor(parts: LinkedNicParts) {
    this.nic = parts.nic
    this.link = parts.link
    this.injected = parts.injected
    this.#outbox = parts.outbox
    this.#readFile = parts.readFile
    this.#ringFaults = parts.ringFaults
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
    return this.nic.paused ? beganNs : beganNs + this.link.nextAtNs()
  }

  /** Adds the descriptors to wait for. Adds no descriptor while the NIC takes no frames. */
  addDescriptors(into: Fd[]): void {
    if (!this.#up || this.nic.paused) return
    const { descriptors } = this.link
    if (descriptors === undefined) return
    for (let at = 0; at < descriptors.length; at++) {
      const fd = descriptors[at]
      if (fd !== undefined) into.push(fd)
    }
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

  /** Returns a ring end with the faults that the NIC was made with. */
  withFaults(ring: RxFrontEnd): RxFrontEnd {
    return this.#ringFaults === undefined ? ring : faultyRxRing(ring, this.#ringFaults)
  }

  /** Calls `emit` with what has happened since the last call. */
  tell(nic: number, emit: (event: NicEvent) => void): void {
    const frames = this.#outbox.take()
    if (frames.length > 0) emit({ kind: 'transmitted', nic, frames })
    if (this.#toldEnd) return
    const failure = this.#failure
    if (failure !== undefined) {
      this.#toldEnd = true
      emit({ kind: 'ended', nic, failure })
    } else if (this.link.ended && !this.nic.paused) {
      this.#toldEnd = true
      const file = this.#readFile?.()
      emit({ kind: 'ended', nic, ...(file === undefined ? {} : { file }) })
    }
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
