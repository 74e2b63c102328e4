/**
 * Driver's end of the registers and the admin queue, as `gve` uses them. Its numbers are written out
 * here once more, so that a mistake in the card's does not hide itself.
 */

import type { PciDevice } from '../../vfio-user/index.ts'
import type { GuestRam } from './guest-ram.test.helper.ts'

const QUEUE_BYTES = 4096
const COMMANDS = 64
const PASSED = 1

/** Numbers that the card has told of itself. */
export interface CardFacts {
  readonly mac: Uint8Array
  readonly mtu: number
  readonly rxEntries: number
  readonly txEntries: number
  readonly defaultQueues: number
  readonly counters: number
  /** Bodies of the options, by their ids. */
  readonly options: ReadonlyMap<number, DataView<ArrayBuffer>>
}

export class AdminClient {
  readonly ram: GuestRam
  readonly #device: PciDevice
  readonly #queue: number
  #count = 0

  constructor(device: PciDevice, ram: GuestRam) {
    this.#device = device
    this.ram = ram
    this.#queue = ram.allocate(QUEUE_BYTES)
  }

  /** Reads a register of BAR 0. */
  register(offset: number): number {
    return swap32(this.#device.read(0, offset, 4))
  }

  /** Writes a register of BAR 0. */
  setRegister(offset: number, value: number): void {
    this.#device.write(0, offset, 4, swap32(value))
  }

  /** Sets the admin queue up and starts the driver. */
  start(): void {
    for (const letter of 'netmem-model-1.0\n') {
      this.#device.write(0, 0x1f, 1, letter.charCodeAt(0))
    }
    this.#count = 0
    this.#device.write(0, 0x28, 2, ((QUEUE_BYTES & 0xff) << 8) | (QUEUE_BYTES >> 8))
    this.setRegister(0x20, Math.floor(this.#queue / 2 ** 32))
    this.setRegister(0x24, this.#queue % 2 ** 32)
    this.setRegister(0x04, 1)
  }

  /** Resets the card as `rmmod` does. */
  release(): void {
    this.setRegister(0x04, 2)
    if ((this.register(0x00) & 0x10) === 0) throw new Error('The card shows no finished reset.')
  }

  get linkUp(): boolean {
    return (this.register(0x00) & 4) !== 0
  }

  /** Executes one command. Returns its status. */
  execute(opcode: number, fill: (args: DataView<ArrayBuffer>) => void = () => {}): number {
    const at = this.#queue + (this.#count % COMMANDS) * 64
    const command = this.ram.view(at, 64)
    this.ram.memory(at, 64).fill(0)
    command.setUint32(0, opcode)
    fill(this.ram.view(at + 8, 56))
    this.#count = (this.#count + 1) >>> 0
    this.setRegister(0x14, this.#count)
    if (this.register(0x18) !== this.#count) throw new Error(`Command ${opcode} was not done.`)
    return command.getUint32(4)
  }

  /** Executes one command that has to pass. */
  pass(opcode: number, fill?: (args: DataView<ArrayBuffer>) => void): void {
    const status = this.execute(opcode, fill)
    if (status !== PASSED) throw new Error(`Command ${opcode}: status ${status.toString(16)}.`)
  }

  /** Executes a command of more than 56 bytes. Returns its status. */
  executeExtended(opcode: number, command: Uint8Array): number {
    const address = this.ram.allocate(command.length)
    this.ram.memory(address, command.length).set(command)
    return this.execute(0xff, (args) => {
      args.setUint32(0, opcode)
      args.setUint32(4, command.length)
      setAddress(args, 8, address)
    })
  }

  /** Tells the card of the driver. Returns the status. */
  verify(abilities = 0b111_1011): number {
    const info = this.ram.allocate(304)
    this.ram.view(info, 304).setUint32(20, abilities)
    this.ram.memory(info + 48, 6).set(new TextEncoder().encode('netmem'))
    return this.execute(0xf, (args) => {
      setAddress(args, 0, 304)
      setAddress(args, 8, info)
    })
  }

  describe(): CardFacts {
    const address = this.ram.allocate(4096)
    this.pass(1, (args) => {
      setAddress(args, 0, address)
      args.setUint32(8, 1)
      args.setUint32(12, 4096)
    })
    const view = this.ram.view(address, 4096)
    const options = new Map<number, DataView<ArrayBuffer>>()
    let at = 40
    for (let left = view.getUint16(30); left > 0; left--) {
      const bytes = view.getUint16(at + 2)
      options.set(view.getUint16(at), this.ram.view(address + at + 8, bytes))
      at += 8 + bytes
    }
    if (at !== view.getUint16(32)) throw new Error('The options have another length in all.')
    return {
      mac: this.ram.memory(address + 24, 6).slice(),
      mtu: view.getUint16(16),
      txEntries: view.getUint16(10),
      rxEntries: view.getUint16(12),
      defaultQueues: view.getUint16(14),
      counters: view.getUint16(18),
      options,
    }
  }
}

/** Writes a 64-bit big-endian number. */
export function setAddress(view: DataView, at: number, address: number): void {
  view.setUint32(at, Math.floor(address / 2 ** 32))
  view.setUint32(at + 4, address % 2 ** 32)
}

function swap32(word: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, word)
  return view.getUint32(0, true)
}
