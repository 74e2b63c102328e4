/**
 * gVNIC, the network card that Linux's driver `gve` drives, with descriptors of the format DQO-RDA. The
 * card is a PCI device around the NIC of `netmem/stack`.
 *
 * The guest is not trusted: each word of its memory is read once, checked, then used.
 */

import { ArgumentTypeError, checkInteger } from '../errors.ts'
import { NetworkCard } from '../stack/device/nic/network-card.ts'
import type { Link } from '../stack/link/link.ts'
import type { Counters } from '../stack/rings/nic-counters.ts'
import type { NicStats } from '../stack/rings/nic-types.ts'
import type {
  AccessBytes,
  PciBar,
  PciBus,
  PciDevice,
  PciIdentity,
  PciMsix,
} from '../vfio-user/index.ts'
import { MAC_BYTES } from '../wire/ethernet.ts'
import { AdminQueue } from './admin/admin-queue.ts'
import { CardCommands } from './card-commands.ts'
import { DOORBELL_BYTES, DoorbellMap } from './doorbells.ts'
import { GuestDma } from './guest-dma.ts'
import { Interrupts } from './interrupts.ts'
import { REGISTER_BYTES, Registers } from './registers.ts'

export const MAX_QUEUES = 16
export const DEFAULT_QUEUES = 4
export const MIN_MTU = 68
export const MAX_MTU = 9000
export const DEFAULT_MTU = 1500
/** Ethernet header and VLAN tag in front of the longest packet: 256 KiB of payload and its headers. */
const MAX_FRAME_BYTES = 2 ** 18 + 512
/** Frames received in one turn, as in a NAPI poll. */
const BUDGET = 64
/** Bytes of one turn, each way. Requests of all machines wait until it ends. */
const BUDGET_BYTES = 2 ** 18

const REGISTERS = 0
const DOORBELLS = 2

/** Options of a {@link Gvnic}. */
export interface GvnicOptions {
  /** Link of the card. The caller closes it. */
  readonly link: Link
  /** Hardware address of 6 bytes. */
  readonly mac: Uint8Array
  /** Queues each way: 1 to 16. 4 by default. */
  readonly queues?: number
  /** Largest IP packet, and the MTU that the guest's interface starts with: 68 to 9000. 1500 by default. */
  readonly mtu?: number
  /**
   * True if a frame that finds no buffer waits on the link, up to 8 s, and all behind it. False by
   * default: the card drops it.
   */
  readonly pause?: boolean
}

/** State of a started receive queue, to show. */
export interface RxQueueState {
  /** Number of the queue. */
  readonly queue: number
  /** Bytes of each buffer that the driver posts. */
  readonly bufferBytes: number
  /** True if headers are split from payload, as a queue with device memory needs it. */
  readonly split: boolean
}

/** State of a card, to show. */
export interface GvnicState {
  /** Version of the driver. Empty until the driver has sent it. */
  readonly driverVersion: string
  /** Name of the driver's system. Empty until the driver has sent it. */
  readonly driverName: string
  /** True while the driver runs. */
  readonly running: boolean
  /** Started receive queues, by ascending number. */
  readonly rxQueues: readonly RxQueueState[]
  /** Started transmit queues. */
  readonly txQueues: readonly number[]
  /** Flow rules that the guest has set. */
  readonly flowRules: number
  /** Interrupts that the card has raised. */
  readonly interrupts: number
  /** Commands of the admin queue. */
  readonly commands: {
    /** Commands that the card has carried out, refused ones included. */
    readonly done: number
    /** Commands that the card has refused. */
    readonly refused: number
    /** Doorbells that made no sense, and queues outside the guest's memory. */
    readonly faults: number
  }
}

/** A network card for a guest. `serveDevice()` of `netmem/vfio-user` puts it into one. */
export class Gvnic implements PciDevice {
  readonly identity: PciIdentity = {
    ...{ vendorId: 0x1ae0, deviceId: 0x0042, classCode: 0x02_0000 },
    // Revision 0 would use the old register of the admin queue (K: gve_adminq.c, gve_adminq_alloc).
    ...{ revision: 1, subsystemId: 0x0058 },
  }
  readonly bars: readonly PciBar[] = [
    { index: REGISTERS, bytes: REGISTER_BYTES },
    { index: DOORBELLS, bytes: DOORBELL_BYTES },
  ]
  readonly msix: PciMsix
  readonly #guest = new GuestDma()
  readonly #nic: NetworkCard
  readonly #link: Link
  /** True if frames wait on the link for buffers, and for queues. */
  readonly #waits: boolean
  readonly #doorbells: DoorbellMap
  readonly #interrupts: Interrupts
  readonly #registers: Registers
  readonly #admin: AdminQueue
  readonly #commands: CardCommands
  #bus: PciBus | undefined

  /**
   * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range.
   */
  constructor(options: GvnicOptions) {
    const { link, mac, pause = false } = options
    const queues = checkInteger('queues', options.queues ?? DEFAULT_QUEUES, 1, MAX_QUEUES)
    const mtu = checkInteger('mtu', options.mtu ?? DEFAULT_MTU, MIN_MTU, MAX_MTU)
    if (!(mac instanceof Uint8Array) || mac.length !== MAC_BYTES) {
      throw new ArgumentTypeError(
        'NETMEM_INVALID_ARGUMENT',
        'mac is a Uint8Array of 6 bytes, such as Uint8Array.of(0x02, 0, 0, 0, 0, 1).',
      )
    }
    const guest = this.#guest
    const maxFrameBytes = MAX_FRAME_BYTES
    const nic = new NetworkCard({
      ...{ queues, dma: guest.space, link, maxFrameBytes, pause },
      largestPacket: mtu,
    })
    this.#nic = nic
    this.#link = link
    this.#waits = pause
    link.receiver = (head, pieces) => this.receives && nic.receivePieces(head, pieces)
    this.#doorbells = new DoorbellMap(queues)
    const blocks = this.#doorbells.blocks
    this.#interrupts = new Interrupts(blocks, (vector) => this.#bus?.interrupt(vector))
    this.msix = { bar: 1, vectors: this.#interrupts.vectors }
    this.#commands = new CardCommands({
      card: { mac: mac.slice(), mtu, queues },
      ...{ guest, interrupts: this.#interrupts, doorbells: this.#doorbells, nic },
    })
    this.#admin = new AdminQueue(guest, this.#commands)
    this.#registers = new Registers(queues, {
      adminDoorbell: (count) => this.#admin.run(this.#registers, count),
      driverReset: () => this.#resetCard(),
    })
    this.reset()
  }

  /** True if the guest sees the link up. Setting it interrupts the guest. */
  get linkUp(): boolean {
    return this.#registers.linkUp
  }

  /** Takes the link up or down, and interrupts the guest if that is a change. */
  set linkUp(up: boolean) {
    if (up === this.#registers.linkUp) return
    this.#registers.linkUp = up
    if (this.#registers.running) this.#interrupts.raiseManagement()
  }

  /** True if frames that arrive are received: the link is up, and a queue is started. */
  get receives(): boolean {
    return this.linkUp && this.#commands.rx.size > 0
  }

  /** True while a frame waits on the link for buffers. */
  get paused(): boolean {
    return this.#nic.paused
  }

  /** Counters of the NIC. */
  get stats(): NicStats {
    return this.#nic.counters.stats()
  }

  /** State of the card as it is now. */
  get state(): GvnicState {
    const { rx, tx, rules, driverName } = this.#commands
    const { done, refused, faults } = this.#admin
    return {
      driverName,
      driverVersion: this.#registers.driverVersion,
      running: this.#registers.running,
      rxQueues: [...rx]
        .map(([queue, { bufferBytes, split }]) => ({ queue, bufferBytes, split }))
        .sort((a, b) => a.queue - b.queue),
      txQueues: [...tx.keys()].sort((a, b) => a - b),
      flowRules: rules.count,
      interrupts: this.#interrupts.fired,
      commands: { done, refused, faults },
    }
  }

  attach(bus: PciBus): void {
    this.#bus = bus
    this.#guest.attach(bus.memory)
  }

  detach(): void {
    this.reset()
    this.#bus = undefined
    this.#guest.detach()
  }

  read(bar: number, offset: number, bytes: AccessBytes): number {
    return bar === REGISTERS ? this.#registers.read(offset, bytes) : 0
  }

  write(bar: number, offset: number, bytes: AccessBytes, value: number): void {
    if (bar === REGISTERS) this.#registers.write(offset, bytes, value)
    else if (bar === DOORBELLS && bytes === 4) this.#ring(offset >> 2, value)
  }

  reset(): void {
    this.#resetCard()
    this.#registers.forgetDriver()
  }

  /**
   * Receives and sends what is due at `nowNs` of the link's clock. While the card's link or interface is
   * down, its frames are lost, as on a cable, unless frames wait on its link for buffers. Returns the
   * number of frames. Call it again at once unless that is 0.
   */
  poll(nowNs: number): number {
    const { rx, tx, stats } = this.#commands
    const nic = this.#nic
    let frames = 0
    if (this.receives) frames += nic.receive(nowNs, BUDGET, BUDGET_BYTES)
    else if (!this.#waits) frames += this.#drop(nowNs)
    if (tx.size > 0 && this.linkUp) frames += nic.transmit(nowNs, BUDGET_BYTES)
    const nowMs = nowNs / 1e6
    if (stats.isDue(nowMs)) {
      const started = nic.counters.rx.flatMap((counters, queue): (readonly [number, Counters])[] =>
        rx.has(queue) ? [[queue, counters]] : [],
      )
      stats.write(nowMs, started)
    }
    return frames
  }

  /** Drops frames of the link, as many as it receives in one turn. Returns their number. */
  #drop(nowNs: number): number {
    let dropped = 0
    while (dropped < BUDGET && this.#link.receive(nowNs) !== undefined) dropped++
    return dropped
  }

  #resetCard(): void {
    this.#commands.reset()
    this.#registers.reset()
  }

  #ring(doorbell: number, value: number): void {
    const doorbells = this.#doorbells
    const txQueue = doorbells.txQueue(doorbell)
    if (doorbell < doorbells.blocks) this.#interrupts.ring(doorbell, value)
    else if (txQueue >= 0) this.#commands.tx.get(txQueue)?.ring(value)
    else this.#commands.rx.get(doorbells.rxQueue(doorbell))?.ring(value)
  }
}
