/**
 * Admin queue: a ring of commands in the guest's memory. The card carries out those between its own
 * counter and the driver's, and writes a status into each.
 */

import { addressAt, type GuestDma } from '../guest-dma.ts'
import type { Registers } from '../registers.ts'
import { ARGUMENTS, COMMAND_BYTES, type Handler, Opcode, STATUS, Status } from './admin-layout.ts'

const MAX_EXTENDED_BYTES = 4096
/**
 * Most commands of a ring: the page that `gve` allocates (K: gve_adminq.h, GVE_ADMINQ_BUFFER_SIZE). The
 * commands of one doorbell hold up the other cards.
 */
const MAX_COMMANDS = 64

/** Handlers of commands by their opcodes. */
export interface AdminHandlers {
  readonly commands: ReadonlyMap<number, Handler>
  /** Handlers of extended commands, each with the bytes of its arguments. */
  readonly extended: ReadonlyMap<number, { readonly bytes: number; readonly handler: Handler }>
}

export class AdminQueue {
  /** Commands carried out, successful or not. */
  done = 0
  /** Commands refused. */
  refused = 0
  /** Doorbells that made no sense, and queues outside the guest's memory. */
  faults = 0
  readonly #guest: GuestDma
  readonly #handlers: AdminHandlers

  constructor(guest: GuestDma, handlers: AdminHandlers) {
    this.#guest = guest
    this.#handlers = handlers
  }

  /** Carries out the commands up to the driver's count. */
  run(registers: Registers, count: number): void {
    const { adminAddress, adminBytes } = registers
    const entries = adminBytes / COMMAND_BYTES
    let at = registers.adminEvents
    const waiting = (count - at) >>> 0
    const isPower = Number.isInteger(entries) && (entries & (entries - 1)) === 0
    const isRing = isPower && entries <= MAX_COMMANDS
    if (!registers.running || !isRing || waiting > entries) {
      this.faults++
      return
    }
    for (; at !== count; at = (at + 1) >>> 0) {
      const address = adminAddress + (at & (entries - 1)) * COMMAND_BYTES
      const command = this.#guest.read(address, COMMAND_BYTES)
      if (command === undefined || !this.#guest.isWritable(address, COMMAND_BYTES)) {
        this.faults++
        return
      }
      const status = this.#execute(new DataView(command.buffer))
      this.#guest.write(address + STATUS, bigEndian(status))
      this.done++
      if (status !== Status.passed) this.refused++
      // A reset by the command would have set the counter back.
      registers.adminEvents = (at + 1) >>> 0
    }
  }

  #execute(command: DataView): number {
    const opcode = command.getUint32(0)
    const args = new DataView(command.buffer, ARGUMENTS)
    if (opcode === Opcode.extended) return this.#executeExtended(args)
    return this.#handlers.commands.get(opcode)?.(args) ?? Status.unimplemented
  }

  #executeExtended(args: DataView): number {
    const opcode = args.getUint32(0)
    const bytes = args.getUint32(4)
    const extended = this.#handlers.extended.get(opcode)
    if (extended === undefined) return Status.unimplemented
    if (bytes < extended.bytes || bytes > MAX_EXTENDED_BYTES) return Status.invalidArgument
    const memory = this.#guest.read(addressAt(args, 8), bytes)
    if (memory === undefined) return Status.invalidArgument
    return extended.handler(new DataView(memory.buffer))
  }
}

function bigEndian(word: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, word)
  return bytes
}
