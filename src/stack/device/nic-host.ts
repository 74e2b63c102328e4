/** The NICs of a device and their links, on one clock. */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import { DeviceError } from '../device-error.ts'
import { faultyLink } from '../link/faults.ts'
import type { LinkFrame } from '../link/link.ts'
import type { LinkKind, LinkSpec } from '../link/link-spec.ts'
import type { ControlHandlers, ControlKind, NicEvent } from '../rings/control.ts'
import { type DeviceFailure, describeFailure, failureError } from '../rings/device-failure.ts'
import { faultyRxRing, type RxRingFaults } from '../rings/faulty-rx-ring.ts'
import { makeRxRings, NicRxRing, type RxRings } from '../rings/shared-rings.ts'
import { NicTxRing } from '../rings/shared-tx-rings.ts'
import type { DmaSpace } from './dma/dma-space.ts'
import type { LinkKinds, OpenedLink } from './link-kinds.ts'
import type { NicFactory, NicPort } from './nic-port.ts'

/** What devices are made of; everything but tests takes `deviceParts`. */
export interface DeviceParts {
  readonly makeNic: NicFactory
  readonly linkKinds: LinkKinds
}

/** Frames a NIC receives before the next one's turn: a NAPI poll's. */
const BUDGET = 64
const MAX_QUEUES = 1024
const MAX_ENTRIES = 2 ** 16
/** Transmitted frames that wait for the stack's thread, per NIC; more are lost, as on a wire that nobody listens at. */
const MAX_TRANSMITTED = 4096

interface HostedNic extends OpenedLink {
  readonly nic: NicPort
  readonly outbox: Outbox
  readonly ringFaults: RxRingFaults | undefined
  up: boolean
  /** When its link's clock began: as the link first came up. */
  beganNs: number | undefined
  /** Has been given its turn, and did not take the frame that is due. */
  stuck: boolean
  /** The stack knows that no frame will arrive any more. */
  ended: boolean
  /** Why it does nothing any more. */
  failure?: DeviceFailure
}

/** Frames on their way to the stack's thread. */
interface Outbox {
  frames: Uint8Array[]
  sent: number
  /** Word 0: frames that have been taken there. */
  readonly taken: Int32Array
}

export class NicHost {
  readonly #parts: DeviceParts
  readonly #dma: DmaSpace
  readonly #emit: (event: NicEvent) => void
  readonly #nics = new Map<number, HostedNic>()
  #nowNs = 0

  constructor(parts: DeviceParts, dma: DmaSpace, emit: (event: NicEvent) => void) {
    this.#parts = parts
    this.#dma = dma
    this.#emit = emit
  }

  /** Sets the clock, which never goes back. */
  advanceTo(nowNs: number): void {
    if (nowNs > this.#nowNs) this.#nowNs = nowNs
  }

  /** Gives every NIC a turn; how many frames they received and sent. */
  poll(): number {
    let frames = 0
    for (const hosted of this.#nics.values()) {
      if (hosted.up) frames += this.#receive(hosted, BUDGET) + this.#transmit(hosted)
    }
    this.#tell()
    return frames
  }

  /** When the next frame is due, which may be in the past; `Infinity` when none is on its way. */
  nextAtNs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const hosted of this.#nics.values()) next = Math.min(next, dueNs(hosted))
    return next
  }

  /**
   * Lets time pass until `untilNs` and receives exactly what is due by then, each frame at its
   * own time and NICs in the order of their making where times are equal; how many frames. When
   * `frames` have been received it stops early, at the time of the last of them.
   */
  run(untilNs: number, frames: number = Number.MAX_SAFE_INTEGER): number {
    checkInteger('untilNs', untilNs, 0, Number.MAX_SAFE_INTEGER)
    let left = checkInteger('frames', frames, 0, Number.MAX_SAFE_INTEGER)
    // What drivers have posted before is sent before time passes.
    for (const hosted of this.#nics.values()) if (hosted.up) this.#transmit(hosted)
    while (left > 0) {
      const next = this.#earliest(untilNs)
      if (next === undefined) {
        this.advanceTo(untilNs)
        break
      }
      this.advanceTo(dueNs(next))
      const received = this.#receive(next, Math.min(left, BUDGET))
      next.stuck = received === 0 && dueNs(next) <= this.#nowNs
      left -= received
      if (next.up) this.#transmit(next)
    }
    for (const hosted of this.#nics.values()) hosted.stuck = false
    this.#tell()
    return frames - left
  }

  close(): void {
    for (const { link } of this.#nics.values()) link.close()
    this.#nics.clear()
  }

  /** Throws NETMEM_NO_DEVICE unless there is a NIC of that number. */
  nic(id: number): HostedNic {
    const hosted = this.#nics.get(id)
    if (hosted !== undefined) return hosted
    throw new DeviceError('NETMEM_NO_DEVICE', 'ENODEV', `NIC ${id} is closed, or never was.`)
  }

  readonly handlers: ControlHandlers<Extract<ControlKind, `nic-${string}`>> = {
    'nic-create': ({ nic, queues, link, settings, ringFaults, up, taken }) => {
      checkInteger('queues', queues, 1, MAX_QUEUES)
      const outbox: Outbox = { frames: [], sent: 0, taken: new Int32Array(taken) }
      const opened = this.#open(link, (frame) => post(outbox, frame))
      try {
        const dma = this.#dma
        const made = this.#parts.makeNic({ queues, dma, link: opened.link, settings })
        const beganNs = up ? this.#nowNs : undefined
        const state = { up, beganNs, ringFaults, stuck: false, ended: false }
        this.#nics.set(nic, { ...opened, nic: made, outbox, ...state })
        return { features: made.features, counters: made.counters.memory }
      } catch (error) {
        opened.link.close()
        throw error
      }
    },
    'nic-close': ({ nic }) => {
      this.nic(nic).link.close()
      this.#tell()
      this.#nics.delete(nic)
    },
    'nic-link': ({ nic, up }) => {
      const hosted = this.nic(nic)
      if (up && hosted.failure !== undefined) throw failureError(hosted.failure)
      hosted.up = up
      if (up) hosted.beganNs ??= this.#nowNs
    },
    'nic-start-queue': ({ nic, queue, rings, config }) => {
      const hosted = this.nic(nic)
      checkRings(rings)
      const ring = new NicRxRing(rings)
      const { ringFaults } = hosted
      const end = ringFaults === undefined ? ring : faultyRxRing(ring, ringFaults)
      hosted.nic.startQueue(queue, end, config)
    },
    'nic-stop-queue': ({ nic, queue }) => void this.nic(nic).nic.stopQueue(queue),
    'nic-start-tx-queue': ({ nic, queue, ring }) => {
      this.nic(nic).nic.startTxQueue(queue, new NicTxRing(ring))
    },
    'nic-stop-tx-queue': ({ nic, queue }) => void this.nic(nic).nic.stopTxQueue(queue),
    'nic-add-rule': ({ nic, rule }) => this.nic(nic).nic.addRule(rule),
    'nic-remove-rule': ({ nic, rule }) => void this.nic(nic).nic.removeRule(rule),
    'nic-rss': ({ nic, table }) => {
      const hosted = this.nic(nic)
      if (table !== undefined) hosted.nic.setRssTable(table)
      return Array.from(hosted.nic.rssTable)
    },
    'nic-inject': ({ nic, frames, atNs, checksum }) => {
      const { injected, beganNs } = this.nic(nic)
      if (injected === undefined) {
        throw new DeviceError(
          'NETMEM_NIC_CONFIG',
          'EOPNOTSUPP',
          `The link of NIC ${nic} takes no frames. Make it with a link of kind 'wire'.`,
        )
      }
      const now = beganNs === undefined ? 0 : this.#nowNs - beganNs
      const timeNs = atNs === undefined ? now : checkInteger('atNs', atNs, 0, 2 ** 53 - 1)
      let room = 0
      while (room < frames.length && inject(injected, frames[room], timeNs, checksum)) room++
      return room
    },
  }

  #open<K extends LinkKind>(
    spec: LinkSpec<K>,
    transmitted: (frame: LinkFrame) => void,
  ): OpenedLink {
    const kinds: LinkKinds = this.#parts.linkKinds
    const kind: K = spec.kind
    // Own: nothing that every object has is a kind.
    if (Object.hasOwn(kinds, kind)) {
      const opened = kinds[kind](spec, transmitted)
      const { faults } = spec
      return faults === undefined ? opened : { ...opened, link: faultyLink(opened.link, faults) }
    }
    throw new DeviceError(
      'NETMEM_NIC_CONFIG',
      'EOPNOTSUPP',
      `There is no link of kind '${kind}'. There are: ${Object.keys(kinds).join(', ')}.`,
    )
  }

  #receive(hosted: HostedNic, budget: number): number {
    try {
      return hosted.nic.receive(this.#nowNs - (hosted.beganNs ?? 0), budget)
    } catch (error) {
      return fail(hosted, error)
    }
  }

  #transmit(hosted: HostedNic): number {
    try {
      return hosted.nic.transmit(this.#nowNs - (hosted.beganNs ?? 0))
    } catch (error) {
      return fail(hosted, error)
    }
  }

  /** The NIC whose frame is due first, and by `untilNs`. */
  #earliest(untilNs: number): HostedNic | undefined {
    let earliest: HostedNic | undefined
    let earliestNs = Number.POSITIVE_INFINITY
    for (const hosted of this.#nics.values()) {
      if (hosted.stuck) continue
      // What is overdue is due now: nobody goes first for having waited longer.
      const due = Math.max(dueNs(hosted), this.#nowNs)
      if (due > untilNs && due > this.#nowNs) continue
      if (due < earliestNs) {
        earliest = hosted
        earliestNs = due
      }
    }
    return earliest
  }

  #tell(): void {
    for (const [nic, hosted] of this.#nics) {
      const { outbox, failure } = hosted
      if (outbox.frames.length > 0) {
        this.#emit({ kind: 'transmitted', nic, frames: outbox.frames })
        outbox.frames = []
      }
      if (hosted.ended) continue
      if (failure === undefined && (!hosted.link.ended || hosted.nic.paused)) continue
      hosted.ended = true
      const file = failure === undefined ? hosted.readFile?.() : undefined
      this.#emit({
        kind: 'ended',
        nic,
        ...(failure === undefined ? {} : { failure }),
        ...(file === undefined ? {} : { file }),
      })
    }
  }
}

/** When a NIC's next frame is due on the device's clock; never while the link is down. */
function dueNs({ up, beganNs, link, nic }: HostedNic): number {
  if (!up || beganNs === undefined) return Number.POSITIVE_INFINITY
  return nic.paused ? beganNs : beganNs + link.nextAtNs()
}

/**
 * A capture may turn out to be broken in its middle: its link goes down for good, and the other
 * NICs go on. Nothing was received.
 */
function fail(hosted: HostedNic, error: unknown): number {
  hosted.up = false
  hosted.failure ??= describeFailure(error)
  return 0
}

/** Copies a frame that a NIC has sent. */
function post(outbox: Outbox, { memory, offset, length }: LinkFrame): void {
  if (((outbox.sent - Atomics.load(outbox.taken, 0)) | 0) >= MAX_TRANSMITTED) return
  outbox.sent = (outbox.sent + 1) | 0
  outbox.frames.push(memory.bytes.slice(offset, offset + length))
}

function inject(
  link: NonNullable<OpenedLink['injected']>,
  frame: Uint8Array | undefined,
  timeNs: number,
  checksum: LinkFrame['checksum'],
): boolean {
  return frame !== undefined && link.inject(frame, timeNs, checksum)
}

/** A NIC that trusted these would be stopped by a mistake in them. */
function checkRings(rings: RxRings): void {
  const entries = checkInteger('entries', rings?.entries, 1, MAX_ENTRIES)
  if ((entries & (entries - 1)) !== 0) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `A ring has a power of two of entries, such as 256, not ${entries}.`,
    )
  }
  const { byteLength } = makeRxRings(entries, rings.headers, rings.doorbell).memory
  checkInteger('bytes of the rings', rings.memory?.byteLength, byteLength, 2 ** 31)
}
