/**
 * A driver for the card in plain memory, which does what Linux's `gve` does: it probes the card, opens
 * queues, posts buffers, sends, reads completions and arms interrupts. It carries unit tests, fuzzing
 * and benchmarks without a guest.
 */

import type { PciBus, PciDevice } from '../../vfio-user/index.ts'
import { AdminClient, type CardFacts, setAddress } from './admin-client.test.helper.ts'
import { DriverRx, type ReceivedPacket } from './driver-rx.test.helper.ts'
import { DriverTx, type SendOptions, type SentPiece } from './driver-tx.test.helper.ts'
import { GuestRam, type GuestRamOptions } from './guest-ram.test.helper.ts'

const RAW_ADDRESSING = 0xffff_ffff
const DQO_RDA = 3
const DOORBELL_BAR = 2
/** Value of an interrupt doorbell that arms and keeps the interval. */
const ARM = 1 | (3 << 3)
const IRQ_STRIDE = 64

/** Options of an open interface. */
export interface OpenOptions {
  /** Queues each way. All that the card has by default. */
  readonly queues?: number
  /** Header split. False by default. */
  readonly split?: boolean
  /** Receive coalescing. False by default. */
  readonly coalesce?: boolean
  /** Bytes of posted buffers. 2048 by default. */
  readonly bufferBytes?: number
  /** Entries of all rings. Those that the card proposes by default. */
  readonly entries?: number
}

export class DriverModel implements PciBus {
  readonly memory: GuestRam
  readonly admin: AdminClient
  /** Interrupts seen, by vector. */
  readonly interrupts: number[] = []
  rx: DriverRx[] = []
  tx: DriverTx[] = []
  readonly #device: PciDevice
  #facts: CardFacts | undefined
  #queues = 0
  #irqDoorbells = 0
  #report = 0
  #reportBytes = 0
  #opened: Required<OpenOptions> | undefined

  constructor(device: PciDevice, ram: GuestRamOptions = {}) {
    this.#device = device
    this.memory = new GuestRam(ram)
    this.admin = new AdminClient(device, this.memory)
  }

  /** Numbers that the card has told. */
  get facts(): CardFacts {
    if (this.#facts === undefined) throw new Error('Probe the card first.')
    return this.#facts
  }

  interrupt(vector: number): void {
    this.interrupts[vector] = (this.interrupts[vector] ?? 0) + 1
  }

  /** Probes the card: everything up to its registration as an interface. */
  probe(): void {
    const { admin, memory } = this
    this.#device.attach(this)
    this.start()
    const packetTypes = memory.allocate(2048)
    admin.pass(0xe, (args) => {
      setAddress(args, 0, 2048)
      setAddress(args, 8, packetTypes)
    })
    this.setRss({ key: new Uint8Array(40).map((_, at) => 7 * at + 1) })
    this.#reportBytes = 8 + 16 * 12 * this.#queues
    this.#report = memory.allocate(this.#reportBytes)
    admin.pass(0xc, (args) => {
      setAddress(args, 0, this.#reportBytes)
      setAddress(args, 8, this.#report)
      setAddress(args, 16, 20_000)
    })
  }

  /** Starts the admin queue and configures the resources, as after a reset. */
  start(): void {
    const { admin, memory } = this
    admin.start()
    this.#queues = Math.min(admin.register(0x08), admin.register(0x0c))
    admin.verify()
    this.#facts = admin.describe()
    const blocks = 2 * this.#queues
    const counters = memory.allocate(4 * this.#facts.counters)
    this.#irqDoorbells = memory.allocate(IRQ_STRIDE * blocks)
    admin.pass(2, (args) => {
      setAddress(args, 0, counters)
      setAddress(args, 8, this.#irqDoorbells)
      args.setUint32(16, this.#facts?.counters ?? 0)
      args.setUint32(20, blocks)
      args.setUint32(24, IRQ_STRIDE)
      args.setUint8(32, DQO_RDA)
    })
  }

  /** Opens the interface: creates all queues, posts buffers and arms interrupts. */
  open(options: OpenOptions = {}): void {
    const opened = {
      ...{ queues: this.#queues, split: false, coalesce: false, bufferBytes: 2048 },
      ...{ entries: this.facts.rxEntries, ...options },
    }
    this.#opened = opened
    const { queues, entries, bufferBytes } = opened
    this.setRss({ table: Array.from({ length: 128 }, (_, at) => at % queues) })
    const headerBytes = opened.split ? 128 : 0
    const numbers = Array.from({ length: queues }, (_, queue) => queue)
    this.tx = numbers.map(
      (queue) =>
        new DriverTx(this.memory, queue, entries, (tail) => this.#ring(this.tx[queue], tail)),
    )
    this.rx = numbers.map((queue) => {
      const rx = { queue, entries, bufferBytes, headerBytes }
      return new DriverRx(this.memory, rx, (tail) => this.#ring(this.rx[queue], tail))
    })
    for (const tx of this.tx) this.createTx(tx)
    for (const rx of this.rx) {
      this.createRx(rx)
      rx.post()
    }
    for (let block = 0; block < 2 * queues; block++) this.arm(block)
  }

  /** Closes the interface: destroys all queues. */
  close(): void {
    for (const { queue } of this.tx) this.admin.pass(7, (args) => args.setUint32(0, queue))
    for (const { options } of this.rx) {
      this.admin.pass(8, (args) => args.setUint32(0, options.queue))
    }
    this.rx = []
    this.tx = []
  }

  /** Restarts one receive queue, as binding device memory to it does. */
  restartRx(queue: number): void {
    const rx = this.#rx(queue)
    this.admin.pass(8, (args) => args.setUint32(0, queue))
    rx.restart()
    this.createRx(rx)
    rx.post()
    this.arm(this.rxBlock(queue))
  }

  /** Sets the RSS key, table, or both. */
  setRss({ key, table }: { readonly key?: Uint8Array; readonly table?: readonly number[] }): void {
    const { memory } = this
    const keyAt = memory.allocate(40)
    const tableAt = memory.allocate(512)
    if (key !== undefined) memory.write(keyAt, key)
    for (const [entry, queue] of (table ?? []).entries()) {
      memory.view(tableAt + 4 * entry, 4).setUint32(0, queue)
    }
    this.admin.pass(0xa, (args) => {
      args.setUint16(0, 0xd2)
      args.setUint8(2, 1)
      args.setUint16(4, key === undefined ? 0 : key.length)
      args.setUint16(6, table === undefined ? 0 : table.length)
      setAddress(args, 8, keyAt)
      setAddress(args, 16, tableAt)
    })
  }

  createTx(tx: DriverTx): void {
    this.admin.pass(5, (args) => {
      args.setUint32(0, tx.queue)
      setAddress(args, 8, tx.resources)
      setAddress(args, 16, tx.descriptors)
      args.setUint32(24, RAW_ADDRESSING)
      args.setUint32(28, tx.queue)
      setAddress(args, 32, tx.completions)
      args.setUint16(40, tx.entries)
      args.setUint16(42, tx.entries)
    })
  }

  createRx(rx: DriverRx): void {
    const { queue, entries, bufferBytes, headerBytes } = rx.options
    this.admin.pass(6, (args) => {
      args.setUint32(0, queue)
      args.setUint32(12, this.rxBlock(queue))
      setAddress(args, 16, rx.resources)
      setAddress(args, 24, rx.completions)
      setAddress(args, 32, rx.buffers)
      args.setUint32(40, RAW_ADDRESSING)
      args.setUint16(44, entries)
      args.setUint16(46, bufferBytes)
      args.setUint16(48, entries)
      args.setUint8(50, this.#opened?.coalesce === true ? 1 : 0)
      args.setUint16(52, headerBytes)
    })
  }

  /** Number of the notification block of a receive queue. That of a transmit queue is its number. */
  rxBlock(queue: number): number {
    return this.#queues + queue
  }

  /** Arms the interrupt of a block. */
  arm(block: number): void {
    const doorbell = this.memory.view(this.#irqDoorbells + block * IRQ_STRIDE, 4).getUint32(0)
    this.#device.write(DOORBELL_BAR, 4 * doorbell, 4, ARM)
  }

  /** Sends a copy of a packet. Returns its tag, or −1 if there is no room. */
  send(queue: number, packet: Uint8Array, options: SendOptions = {}): number {
    const address = this.memory.allocate(packet.length)
    this.memory.write(address, packet)
    return this.sendPieces(queue, [{ address, bytes: packet.length }], options)
  }

  sendPieces(queue: number, pieces: readonly SentPiece[], options: SendOptions = {}): number {
    const tx = this.tx[queue]
    if (tx === undefined) throw new Error(`Queue ${queue} is not open.`)
    return tx.send(pieces, options)
  }

  /** Does what the driver's NAPI does for all queues. Returns the packets received. */
  poll(): ReceivedPacket[] {
    const packets: ReceivedPacket[] = []
    for (const tx of this.tx) {
      tx.poll()
      this.arm(tx.queue)
    }
    for (const rx of this.rx) {
      packets.push(...rx.poll())
      rx.post()
      this.arm(this.rxBlock(rx.options.queue))
    }
    return packets
  }

  /** Returns the card's counters as `ethtool -S` would show them: four for each open queue. */
  nicStats(): number[] {
    const entries = 4 * this.rx.length
    const start = this.#report + this.#reportBytes - 16 * entries
    const view = this.memory.view(start, 16 * entries)
    return Array.from({ length: entries }, (_, entry) => {
      const [name, queue] = [view.getUint32(16 * entry), view.getUint32(16 * entry + 4)]
      if (name !== 65 + (entry % 4)) throw new Error(`Entry ${entry} has the name ${name}.`)
      if (queue !== this.rx[Math.floor(entry / 4)]?.options.queue) throw new Error('Wrong queue.')
      return view.getUint32(16 * entry + 12)
    })
  }

  #rx(queue: number): DriverRx {
    const rx = this.rx[queue]
    if (rx === undefined) throw new Error(`Queue ${queue} is not open.`)
    return rx
  }

  #ring(queue: DriverRx | DriverTx | undefined, tail: number): void {
    if (queue !== undefined) this.#device.write(DOORBELL_BAR, 4 * queue.doorbell, 4, tail)
  }
}
