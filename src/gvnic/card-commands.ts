/** Commands of the admin queue, carried out on the card. */

import type { NetworkCard } from '../stack/device/nic/network-card.ts'
import { ExtendedOpcode, type Handler, Opcode, Status } from './admin/admin-layout.ts'
import type { AdminHandlers } from './admin/admin-queue.ts'
import {
  type CardDescription,
  DESCRIPTOR_VERSION,
  describeDevice,
  eventCounters,
} from './admin/describe-device.ts'
import { CardFlowRules, CONFIGURE_RULE_BYTES } from './admin/flow-rules.ts'
import { packetTypeMap } from './admin/packet-types.ts'
import { readCreateRx, readCreateTx, writeResources } from './admin/queue-commands.ts'
import { configureRss, queryRss } from './admin/rss.ts'
import { StatsReport } from './admin/stats-report.ts'
import type { DoorbellMap } from './doorbells.ts'
import { addressAt, type GuestDma } from './guest-dma.ts'
import { GuestRules } from './guest-rules.ts'
import { letterOf } from './guest-text.ts'
import type { Interrupts } from './interrupts.ts'
import { GvnicRxRing } from './rings/gvnic-rx-ring.ts'
import { GvnicTxRing } from './rings/gvnic-tx-ring.ts'

/** Format of queues with raw addresses and completions out of order (K: gve.h, GVE_DQO_RDA_FORMAT). */
const DQO_RDA = 3
/** Bit of the driver's abilities for that format. */
const DQO_RDA_ABILITY = 1 << 3
const ABILITIES_AT = 16
const DRIVER_NAME_AT = 48
const DRIVER_NAME_BYTES = 128
const MIN_DRIVER_INFO_BYTES = DRIVER_NAME_AT + DRIVER_NAME_BYTES
const MAX_DRIVER_INFO_BYTES = 4096
/** Bytes at most between the numbers of two interrupt doorbells. */
const MAX_STRIDE_BYTES = 4096
const PARAMETER_MTU = 1
const LINK_SPEED_MBIT = 100_000

/** Parts of the card that commands change. */
export interface CommandParts {
  readonly card: CardDescription
  readonly guest: GuestDma
  readonly interrupts: Interrupts
  readonly doorbells: DoorbellMap
  readonly nic: NetworkCard
}

export class CardCommands implements AdminHandlers {
  /** Name of the driver's system. Empty until the driver has sent it. */
  driverName = ''
  /** Started receive queues by number. */
  readonly rx: Map<number, GvnicRxRing> = new Map()
  /** Started transmit queues by number. */
  readonly tx: Map<number, GvnicTxRing> = new Map()
  readonly stats: StatsReport
  readonly rules: CardFlowRules
  readonly commands: ReadonlyMap<number, Handler>
  readonly extended: AdminHandlers['extended']
  readonly #parts: CommandParts
  /** Notification blocks that the driver uses. 0 before it has configured its resources. */
  #blocks = 0

  constructor(parts: CommandParts) {
    const { guest, card, nic } = parts
    this.#parts = parts
    this.stats = new StatsReport(guest)
    this.rules = new CardFlowRules(guest, new GuestRules(nic.steering), card.queues)
    this.commands = new Map<number, Handler>([
      [Opcode.verifyCompatibility, (command) => this.#verify(command)],
      [Opcode.describeDevice, (command) => this.#describe(command)],
      [Opcode.configureResources, (command) => this.#configure(command)],
      [Opcode.deconfigureResources, () => this.#deconfigure()],
      [Opcode.packetTypeMap, packetTypeMap(guest)],
      [Opcode.createTxQueue, (command) => this.#createTx(command)],
      [Opcode.createRxQueue, (command) => this.#createRx(command)],
      [Opcode.destroyTxQueue, (command) => this.#destroyTx(command.getUint32(0))],
      [Opcode.destroyRxQueue, (command) => this.#destroyRx(command.getUint32(0))],
      [Opcode.configureRss, configureRss(guest, nic.steering, card.queues)],
      [Opcode.queryRss, queryRss(guest, nic.steering)],
      [Opcode.queryFlowRules, this.rules.query],
      [Opcode.reportStats, this.stats.configure],
      [Opcode.reportLinkSpeed, (command) => this.#linkSpeed(command)],
      [Opcode.setDriverParameter, (command) => this.#setParameter(command)],
    ])
    const configureRule = { bytes: CONFIGURE_RULE_BYTES, handler: this.rules.configure }
    this.extended = new Map([[ExtendedOpcode.configureFlowRule, configureRule]])
  }

  /** Forgets all settings of the driver. */
  reset(): void {
    this.#deconfigure()
    this.rules.clear()
    this.#parts.nic.steering.resetRss()
    this.driverName = ''
  }

  #verify(command: DataView): number {
    const bytes = addressAt(command, 0)
    if (bytes < MIN_DRIVER_INFO_BYTES || bytes > MAX_DRIVER_INFO_BYTES) {
      return Status.invalidArgument
    }
    const info = this.#parts.guest.read(addressAt(command, 8), bytes)
    if (info === undefined) return Status.invalidArgument
    const abilities = new DataView(info.buffer).getUint32(ABILITIES_AT + 4)
    if ((abilities & DQO_RDA_ABILITY) === 0) return Status.unimplemented
    const name = info.subarray(DRIVER_NAME_AT, DRIVER_NAME_AT + DRIVER_NAME_BYTES)
    const end = name.indexOf(0)
    this.driverName = Array.from(name.subarray(0, end < 0 ? name.length : end), letterOf).join('')
    return Status.passed
  }

  #describe(command: DataView): number {
    const { card, guest } = this.#parts
    const descriptor = describeDevice(card)
    const room = command.getUint32(12)
    if (command.getUint32(8) !== DESCRIPTOR_VERSION) return Status.unimplemented
    if (descriptor.length > room) return Status.invalidArgument
    return written(guest.write(addressAt(command, 0), descriptor))
  }

  #configure(command: DataView): number {
    const { guest, interrupts, doorbells } = this.#parts
    const address = addressAt(command, 8)
    const counters = command.getUint32(16)
    const blocks = command.getUint32(20)
    const stride = command.getUint32(24)
    const base = command.getUint32(28)
    if (this.#blocks > 0) return Status.alreadyExists
    if (command.getUint8(32) !== DQO_RDA) return Status.unimplemented
    if (blocks < 1 || blocks > interrupts.count) return Status.invalidArgument
    if (stride < 4 || stride > MAX_STRIDE_BYTES || base > 1) return Status.invalidArgument
    if (counters > eventCounters(this.#parts.card.queues)) return Status.invalidArgument
    if (!guest.isWritable(addressAt(command, 0), 4 * counters)) return Status.invalidArgument
    if (!guest.isWritable(address, (blocks - 1) * stride + 4)) return Status.invalidArgument
    const number = new DataView(new ArrayBuffer(4))
    for (let block = 0; block < blocks; block++) {
      number.setUint32(0, doorbells.interrupt(block))
      guest.write(address + block * stride, new Uint8Array(number.buffer))
    }
    interrupts.place(base === 0 ? 0 : 1)
    this.#blocks = blocks
    return Status.passed
  }

  #deconfigure(): number {
    const { nic, interrupts } = this.#parts
    for (const queue of this.rx.keys()) nic.stopQueue(queue)
    for (const queue of this.tx.keys()) nic.stopTxQueue(queue)
    this.rx.clear()
    this.tx.clear()
    this.stats.stop()
    interrupts.reset()
    this.#blocks = 0
    return Status.passed
  }

  #createTx(command: DataView): number {
    const { guest, interrupts, doorbells, nic, card } = this.#parts
    const created = readCreateTx(command, guest, this.#blocks)
    if (created === undefined || created.queue >= card.queues) return Status.invalidArgument
    const { queue, resources, rings } = created
    if (this.tx.has(queue)) return Status.alreadyExists
    const ring = new GvnicTxRing(guest, interrupts, rings)
    nic.startTxQueue(queue, ring)
    this.tx.set(queue, ring)
    writeResources(guest, resources, doorbells.tx(queue), queue)
    return Status.passed
  }

  #createRx(command: DataView): number {
    const { guest, interrupts, doorbells, nic, card } = this.#parts
    const created = readCreateRx(command, guest, this.#blocks)
    if (created === undefined || created.queue >= card.queues) return Status.invalidArgument
    const { queue, resources, rings, coalesce } = created
    if (this.rx.has(queue)) return Status.alreadyExists
    const ring = new GvnicRxRing(guest, interrupts, rings)
    const split = rings.headerBytes > 0 ? 'headers' : 'off'
    const place = { split, splitUdp: false, splitThresholdBytes: 0 } as const
    nic.startQueue(queue, ring, { ...place, boundToDevice: false, coalesce })
    this.rx.set(queue, ring)
    writeResources(guest, resources, doorbells.rx(queue), card.queues + queue)
    return Status.passed
  }

  #destroyTx(queue: number): number {
    if (!this.tx.delete(queue)) return Status.notFound
    this.#parts.nic.stopTxQueue(queue)
    return Status.passed
  }

  #destroyRx(queue: number): number {
    if (!this.rx.delete(queue)) return Status.notFound
    this.#parts.nic.stopQueue(queue)
    return Status.passed
  }

  #linkSpeed(command: DataView): number {
    const speed = new DataView(new ArrayBuffer(8))
    speed.setUint32(4, LINK_SPEED_MBIT)
    const address = addressAt(command, 0)
    return written(this.#parts.guest.write(address, new Uint8Array(speed.buffer)))
  }

  #setParameter(command: DataView): number {
    if (command.getUint32(0) !== PARAMETER_MTU) return Status.unimplemented
    const mtu = addressAt(command, 8)
    return mtu <= this.#parts.card.mtu ? Status.passed : Status.invalidArgument
  }
}

function written(all: boolean): number {
  return all ? Status.passed : Status.invalidArgument
}
