/** The NICs of a device and their links, on one clock. */

import { checkInteger } from '../../errors.ts'
import { DeviceError } from '../device-error.ts'
import type { DmaSpace } from '../dma/dma-space.ts'
import type { LinkFrame } from '../link/link.ts'
import { makeRxRings, NicRxRing, type RxRings } from '../nic/shared-rings.ts'
import type { ControlHandlers, ControlKind } from './control.ts'
import type { LinkKind, LinkKinds, LinkSpec, OpenedLink } from './link-kinds.ts'
import type { NicFactory, NicPort } from './nic-port.ts'

/** What devices are made of; everything but tests takes `deviceParts`. */
export interface DeviceParts {
  readonly makeNic: NicFactory
  readonly linkKinds: LinkKinds
}

/** Frames a NIC receives before the next one's turn: a NAPI poll's. */
const BUDGET = 64
const MAX_QUEUES = 1024
/** Transmitted frames that wait for the stack's thread, per NIC; more are lost, as on a wire that nobody listens at. */
const MAX_TRANSMITTED = 4096

interface HostedNic extends OpenedLink {
  readonly nic: NicPort
  readonly outbox: Outbox
  up: boolean
  /** When its link's clock began: as the link first came up. */
  beganNs: number | undefined
  /** Has been given its turn, and did not take the frame that is due. */
  stuck: boolean
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
  readonly #emit: (nic: number, frames: readonly Uint8Array[]) => void
  readonly #nics = new Map<number, HostedNic>()
  #nowNs = 0

  constructor(
    parts: DeviceParts,
    dma: DmaSpace,
    emit: (nic: number, frames: readonly Uint8Array[]) => void,
  ) {
    this.#parts = parts
    this.#dma = dma
    this.#emit = emit
  }

  /** Sets the clock, which never goes back. */
  advanceTo(nowNs: number): void {
    if (nowNs > this.#nowNs) this.#nowNs = nowNs
  }

  /** Gives every NIC a turn; how many frames they received. */
  poll(): number {
    let frames = 0
    for (const hosted of this.#nics.values()) {
      if (hosted.up) frames += this.#receive(hosted)
    }
    this.#flush()
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
   * own time and NICs in the order of their making where times are equal; how many frames.
   */
  run(untilNs: number): number {
    checkInteger('untilNs', untilNs, 0, Number.MAX_SAFE_INTEGER)
    let frames = 0
    for (let next = this.#earliest(untilNs); next; next = this.#earliest(untilNs)) {
      this.advanceTo(dueNs(next))
      const received = this.#receive(next)
      next.stuck = received === 0 && dueNs(next) <= this.#nowNs
      frames += received
    }
    this.advanceTo(untilNs)
    for (const hosted of this.#nics.values()) hosted.stuck = false
    // Once more at the end, for what a NIC holds back for some time.
    return frames + this.poll()
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
    'nic-create': ({ nic, queues, link, up, taken }) => {
      checkInteger('queues', queues, 1, MAX_QUEUES)
      const outbox: Outbox = { frames: [], sent: 0, taken: new Int32Array(taken) }
      const opened = this.#open(link, (frame) => post(outbox, frame))
      try {
        const made = this.#parts.makeNic({ queues, dma: this.#dma, link: opened.link })
        const beganNs = up ? this.#nowNs : undefined
        this.#nics.set(nic, { ...opened, nic: made, outbox, up, beganNs, stuck: false })
      } catch (error) {
        opened.link.close()
        throw error
      }
    },
    'nic-close': ({ nic }) => {
      this.nic(nic).link.close()
      this.#flush()
      this.#nics.delete(nic)
    },
    'nic-link': ({ nic, up }) => {
      const hosted = this.nic(nic)
      hosted.up = up
      if (up) hosted.beganNs ??= this.#nowNs
    },
    'nic-start-queue': ({ nic, queue, rings, config }) => {
      const hosted = this.nic(nic)
      checkRings(rings)
      hosted.nic.startQueue(queue, new NicRxRing(rings), config)
    },
    'nic-stop-queue': ({ nic, queue }) => void this.nic(nic).nic.stopQueue(queue),
    'nic-add-rule': ({ nic, rule }) => this.nic(nic).nic.addRule(rule),
    'nic-remove-rule': ({ nic, rule }) => void this.nic(nic).nic.removeRule(rule),
    'nic-rss': ({ nic, table }) => {
      const hosted = this.nic(nic)
      if (table !== undefined) hosted.nic.setRssTable(table)
      return Array.from(hosted.nic.rssTable())
    },
    'nic-stats': ({ nic }) => this.nic(nic).nic.stats(),
    'nic-configure': ({ nic, features }) => void this.nic(nic).nic.configure(features),
    'nic-knob': ({ nic, knobs }) => void Object.assign(this.nic(nic).nic.knobs, knobs),
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
    if (Object.hasOwn(kinds, kind)) return kinds[kind](spec, transmitted)
    throw new DeviceError(
      'NETMEM_NIC_CONFIG',
      'EOPNOTSUPP',
      `There is no link of kind '${kind}'. There are: ${Object.keys(kinds).join(', ')}.`,
    )
  }

  #receive(hosted: HostedNic): number {
    return hosted.nic.receive(this.#nowNs - (hosted.beganNs ?? 0), BUDGET)
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

  #flush(): void {
    for (const [nic, { outbox }] of this.#nics) {
      if (outbox.frames.length === 0) continue
      this.#emit(nic, outbox.frames)
      outbox.frames = []
    }
  }
}

/** When a NIC's next frame is due on the device's clock; never while the link is down. */
function dueNs({ up, beganNs, link }: HostedNic): number {
  return up && beganNs !== undefined ? beganNs + link.nextAtNs() : Number.POSITIVE_INFINITY
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
  const entries = checkInteger('entries', rings?.entries, 1, 2 ** 20)
  const bytes = makeRxRings(entries, undefined, rings.doorbell).memory.byteLength
  checkInteger('bytes of the rings', rings.memory?.byteLength, bytes, 2 ** 31)
  if ((entries & (entries - 1)) === 0) return
  throw new DeviceError(
    'NETMEM_NIC_CONFIG',
    'EINVAL',
    `A ring has a power of two of entries, such as 256, not ${entries}.`,
  )
}
