/** The NICs of a device and their links, on one clock. */

import { checkInteger } from '../../errors.ts'
import type { Fd } from '../../linux/sys/index.ts'
import { DeviceError } from '../device-error.ts'
import { faultyLink } from '../link/faults.ts'
import type { LinkFrame } from '../link/link.ts'
import type { LinkKind, LinkSpec } from '../link/link-spec.ts'
import type { ControlHandlers, ControlKind, NicEvent } from '../rings/control.ts'
import { checkRxRings, NicRxRing } from '../rings/shared-rings.ts'
import { NicTxRing } from '../rings/shared-tx-rings.ts'
import type { DmaSpace } from './dma/dma-space.ts'
import type { LinkKinds, OpenedLink } from './link-kinds.ts'
import { LinkedNic, Outbox } from './linked-nic.ts'
import type { NicFactory } from './nic-model.ts'

/** Parts that devices are made of. Only tests take others than `deviceParts`. */
export interface DeviceParts {
  readonly makeNic: NicFactory
  readonly linkKinds: LinkKinds
}

/** Frames that a NIC receives before the next NIC's turn, as many as a NAPI poll handles. */
const BUDGET = 64
const MAX_QUEUES = 1024

export class NicTable {
  readonly #parts: DeviceParts
  readonly #dma: DmaSpace
  readonly #emit: (event: NicEvent) => void
  readonly #nics = new Map<number, LinkedNic>()
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

  /** Gives every NIC a turn. Returns the number of frames received and sent. */
  poll(): number {
    let frames = 0
    for (const hosted of this.#nics.values()) {
      frames += hosted.receive(this.#nowNs, BUDGET) + hosted.transmit(this.#nowNs)
    }
    this.#tell()
    return frames
  }

  /**
   * Returns the time at which the next frame is due, which may be past. `Infinity` without one.
   */
  nextAtNs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const hosted of this.#nics.values()) next = Math.min(next, hosted.dueNs())
    return next
  }

  /** Adds the descriptors of all links of which frames are awaited. */
  addDescriptors(into: Fd[]): void {
    for (const hosted of this.#nics.values()) hosted.addDescriptors(into)
  }

  /**
   * Lets time pass until `untilNs`, and receives exactly the frames that are due by then. Each is
   * received at its own time, and in the order of their NICs where times are equal.
   *
   * @param frames limit, at which it stops early, at the time of the last frame.
   * @returns the number of frames received.
   */
  run(untilNs: number, frames: number = Number.MAX_SAFE_INTEGER): number {
    checkInteger('untilNs', untilNs, 0, Number.MAX_SAFE_INTEGER)
    let left = checkInteger('frames', frames, 0, Number.MAX_SAFE_INTEGER)
    // Packets that drivers have posted are sent before time passes.
    for (const hosted of this.#nics.values()) hosted.transmit(this.#nowNs)
    while (left > 0) {
      const next = this.#earliest(untilNs)
      if (next === undefined) {
        this.advanceTo(untilNs)
        break
      }
      this.advanceTo(next.dueNs())
      const received = next.receive(this.#nowNs, Math.min(left, BUDGET))
      next.stuck = received === 0 && next.dueNs() <= this.#nowNs
      left -= received
      next.transmit(this.#nowNs)
    }
    for (const hosted of this.#nics.values()) hosted.stuck = false
    this.#tell()
    return frames - left
  }

  close(): void {
    for (const { link } of this.#nics.values()) link.close()
    this.#nics.clear()
  }

  /** @throws NETMEM_NO_DEVICE unless there is a NIC of that number. */
  nic(id: number): LinkedNic {
    const hosted = this.#nics.get(id)
    if (hosted !== undefined) return hosted
    throw new DeviceError('NETMEM_NO_DEVICE', 'ENODEV', `NIC ${id} is closed, or never was.`)
  }

  readonly handlers: ControlHandlers<Extract<ControlKind, `nic-${string}`>> = {
    'nic-create': ({ nic: id, queues, link, settings, ringFaults, up, taken }) => {
      checkInteger('queues', queues, 1, MAX_QUEUES)
      const outbox = new Outbox(taken)
      const opened = this.#open(link, (frame) => outbox.put(frame))
      try {
        const parts = { queues, dma: this.#dma, link: opened.link, settings }
        const nic = this.#parts.makeNic(parts)
        const hosted = new LinkedNic({ ...opened, nic, outbox, ringFaults })
        hosted.setUp(up, this.#nowNs)
        this.#nics.set(id, hosted)
        const made = { features: nic.features, counters: nic.counters.memory }
        return opened.tap === undefined ? made : { ...made, tap: opened.tap }
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
    'nic-link': ({ nic, up }) => void this.nic(nic).setUp(up, this.#nowNs),
    'nic-start-queue': ({ nic, queue, rings, config }) => {
      const hosted = this.nic(nic)
      checkRxRings(rings)
      hosted.nic.startQueue(queue, hosted.withFaults(new NicRxRing(rings)), config)
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
    'nic-rss-key': ({ nic, key }) => {
      const hosted = this.nic(nic)
      if (key !== undefined) hosted.nic.setRssKey(key)
      return hosted.nic.rssKey
    },
    'nic-inject': ({ nic, frames, atNs, checksum }) => {
      const hosted = this.nic(nic)
      const { injected } = hosted
      if (injected === undefined) {
        throw new DeviceError(
          'NETMEM_NIC_CONFIG',
          'EOPNOTSUPP',
          `The link of NIC ${nic} takes no frames. Make it with a link of kind 'injected'.`,
        )
      }
      const nowNs = hosted.linkNs(this.#nowNs)
      const timeNs = atNs === undefined ? nowNs : checkInteger('atNs', atNs, 0, 2 ** 53 - 1)
      const refused = frames.findIndex((frame) => !injected.inject(frame, timeNs, checksum))
      return refused < 0 ? frames.length : refused
    },
  }

  #open<K extends LinkKind>(
    spec: LinkSpec<K>,
    transmitted: (frame: LinkFrame) => void,
  ): OpenedLink {
    const kinds: LinkKinds = this.#parts.linkKinds
    const kind: K = spec.kind
    // Own properties: what every object inherits is no kind of link.
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

  /** Returns the NIC whose frame is due first, and by `untilNs`. */
  #earliest(untilNs: number): LinkedNic | undefined {
    let earliest: LinkedNic | undefined
    let earliestNs = Number.POSITIVE_INFINITY
    for (const hosted of this.#nics.values()) {
      if (hosted.stuck) continue
      // An overdue frame is due now: a longer wait gives no precedence.
      const due = Math.max(hosted.dueNs(), this.#nowNs)
      if (due > untilNs && due > this.#nowNs) continue
      if (due < earliestNs) {
        earliest = hosted
        earliestNs = due
      }
    }
    return earliest
  }

  #tell(): void {
    for (const [id, hosted] of this.#nics) hosted.tell(id, this.#emit)
  }
}
