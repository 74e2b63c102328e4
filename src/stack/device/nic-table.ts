/** The NICs of a device and their links, on one clock. */

import { checkInteger } from '../../errors.ts'
import type { Fd } from '../../linux/sys/index.ts'
import { DeviceError } from '../device-error.ts'
import { faultyLink } from '../link/faults.ts'
import type { LinkFrame } from '../link/link.ts'
import type { LinkKind, LinkSpec } from '../link/link-spec.ts'
import type { CallHandlers, CallName, NicEvent } from '../rings/control.ts'
import { faultyRxRing } from '../rings/faulty-rx-ring.ts'
import { checkRxRings, NicRxRing } from '../rings/shared-rings.ts'
import { checkTxRing, NicTxRing } from '../rings/shared-tx-rings.ts'
import type { DeviceParts } from './device-parts.ts'
import type { DmaSpace } from './dma-space.ts'
import type { LinkKinds, OpenedLink } from './link-kinds.ts'
import { LinkedNic, Outbox } from './linked-nic.ts'

/** Frames that a NIC receives before the next NIC's turn, as many as a NAPI poll handles. */
const BUDGET = 64

export class NicTable {
  readonly #parts: DeviceParts
  readonly #dma: DmaSpace
  readonly #stepped: boolean
  readonly #emit: (event: NicEvent) => void
  readonly #nics = new Map<number, LinkedNic>()
  #nowNs = 0

  /** @param stepped true if only the call `run` advances the clock. */
  constructor(
    parts: DeviceParts,
    dma: DmaSpace,
    stepped: boolean,
    emit: (event: NicEvent) => void,
  ) {
    this.#parts = parts
    this.#dma = dma
    this.#stepped = stepped
    this.#emit = emit
  }

  /** Sets the clock, which never goes back. */
  advanceTo(nowNs: number): void {
    if (nowNs > this.#nowNs) this.#nowNs = nowNs
  }

  /** Sets the clock and gives every NIC a turn. Returns the number of frames received and sent. */
  poll(nowNs: number): number {
    this.advanceTo(nowNs)
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

  /** Returns the descriptors of all links of which frames are awaited. */
  descriptors(): Fd[] {
    return Array.from(this.#nics.values(), (hosted) => hosted.descriptors()).flat()
  }

  /**
   * Lets time pass until `untilNs`, and receives exactly the frames that are due by then. Each is
   * received at its own time, and in the order of their NICs where times are equal.
   *
   * @param frames limit, at which it stops early, at the time of the last frame.
   * @returns the number of frames received.
   */
  #run(untilNs: number, frames: number): number {
    checkInteger('untilNs', untilNs, 0, Number.MAX_SAFE_INTEGER)
    let left = checkInteger('frames', frames, 0, Number.MAX_SAFE_INTEGER)
    /** NICs that did not take the frame that was due when they had their turn. */
    const stuck = new Set<LinkedNic>()
    // Packets that drivers have posted are sent before time passes.
    for (const hosted of this.#nics.values()) hosted.transmit(this.#nowNs)
    while (left > 0) {
      const next = this.#earliest(untilNs, stuck)
      if (next === undefined) {
        this.advanceTo(untilNs)
        break
      }
      this.advanceTo(next.dueNs())
      const received = next.receive(this.#nowNs, Math.min(left, BUDGET))
      if (received === 0 && next.dueNs() <= this.#nowNs) stuck.add(next)
      left -= received
      next.transmit(this.#nowNs)
    }
    this.#tell()
    return frames - left
  }

  close(): void {
    for (const { opened } of this.#nics.values()) opened.link.close()
    this.#nics.clear()
  }

  /** @throws NETMEM_NO_DEVICE unless there is a NIC of that number. */
  nic(id: number): LinkedNic {
    const hosted = this.#nics.get(id)
    if (hosted !== undefined) return hosted
    throw new DeviceError('NETMEM_NO_DEVICE', 'ENODEV', `NIC ${id} is closed, or never was.`)
  }

  readonly handlers: CallHandlers<Extract<CallName, `nic-${string}` | 'run'>> = {
    'nic-create': (id, { queues, link, settings, ringFaults, up, taken }) => {
      const outbox = new Outbox(taken)
      const opened = this.#open(link, (frame) => outbox.put(frame))
      try {
        const parts = { queues, dma: this.#dma, link: opened.link, settings }
        const nic = this.#parts.makeNic(parts)
        const hosted = new LinkedNic(nic, opened, outbox, ringFaults)
        hosted.setUp(up, this.#nowNs)
        this.#nics.set(id, hosted)
        return { features: nic.features, counters: nic.counters.memory, tap: opened.tap }
      } catch (error) {
        opened.link.close()
        throw error
      }
    },
    'nic-close': (nic) => {
      this.nic(nic).opened.link.close()
      this.#tell()
      this.#nics.delete(nic)
    },
    'nic-link': (nic, up) => this.nic(nic).setUp(up, this.#nowNs),
    'nic-start-queue': (id, queue, rings, config) => {
      const { nic, ringFaults } = this.nic(id)
      checkRxRings(rings)
      const ring = new NicRxRing(rings)
      const withFaults = ringFaults === undefined ? ring : faultyRxRing(ring, ringFaults)
      nic.startQueue(queue, withFaults, config)
    },
    'nic-stop-queue': (nic, queue) => this.nic(nic).nic.stopQueue(queue),
    'nic-start-tx-queue': (nic, queue, ring) => {
      checkTxRing(ring)
      this.nic(nic).nic.startTxQueue(queue, new NicTxRing(ring))
    },
    'nic-stop-tx-queue': (nic, queue) => this.nic(nic).nic.stopTxQueue(queue),
    'nic-add-rule': (nic, rule) => this.nic(nic).nic.steering.addRule(rule),
    'nic-remove-rule': (nic, rule) => this.nic(nic).nic.steering.removeRule(rule),
    'nic-rss': (id, table) => {
      const { steering } = this.nic(id).nic
      if (table !== undefined) steering.setRssTable(table)
      return steering.rssTable
    },
    'nic-rss-key': (id, key) => {
      const { steering } = this.nic(id).nic
      if (key !== undefined) steering.setRssKey(key)
      return steering.rssKey
    },
    'nic-inject': (nic, frames, checksum, atNs) => {
      const hosted = this.nic(nic)
      const { injected } = hosted.opened
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
    run: (untilNs, frames = Number.MAX_SAFE_INTEGER) => {
      if (this.#stepped) return this.#run(untilNs, frames)
      throw new DeviceError(
        'NETMEM_NIC_CONFIG',
        'EINVAL',
        'This device runs by itself. Open it with { stepped: true } to let time pass by run() alone.',
      )
    },
  }

  #open<K extends LinkKind>(
    spec: LinkSpec<K>,
    transmitted: (frame: LinkFrame) => void,
  ): OpenedLink {
    const kinds: LinkKinds = this.#parts.linkKinds
    const kind: K = spec.kind
    if (this.#stepped && kind === 'tap') {
      throw new DeviceError(
        'NETMEM_NIC_CONFIG',
        'EOPNOTSUPP',
        "The kernel's frames do not wait for a stepped clock. Open the device without { stepped: true }.",
      )
    }
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
  #earliest(untilNs: number, stuck: ReadonlySet<LinkedNic>): LinkedNic | undefined {
    let earliest: LinkedNic | undefined
    let earliestNs = Number.POSITIVE_INFINITY
    for (const hosted of this.#nics.values()) {
      if (stuck.has(hosted)) continue
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
