/**
 * Answers of two wired cards to a machine: how long a read of a register takes while the cards carry all
 * that two drivers can post, and the commands of a bind. The cards have their thread, and the machine
 * speaks to them through their sockets as QEMU does.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openWiredCards } from 'netmem/gvnic'
import type { AccessBytes, PciDevice } from 'netmem/vfio-user'
import { connectTestMachine, type TestMachine } from 'netmem/vfio-user/testing'
import { DriverModel } from './internals.ts'
import { median } from './measure.ts'
import { answer } from './processes.ts'
import { HEADER_BYTES, writeHeaders } from './tcp-frame.ts'

export interface MachineRequest {
  /** Reads of a register under load, and binds. */
  readonly reads: number
  readonly binds: number
}

const QUEUES = 2
const PIECE_BYTES = 4096
const PIECES = 15
const ENTRIES = 2048
const MEMORY_BYTES = 2 ** 26
const MEMORY_AT = 2 ** 32
const DOORBELL_BAR = 2
const DESTROY_RX = 8

/** The card of another thread, as its driver sees it. Doorbells can be held back, to ring them at once. */
class MachineDevice implements PciDevice {
  readonly identity = { vendorId: 0, deviceId: 0, classCode: 0 }
  readonly bars = []
  readonly msix = { bar: 1, vectors: 2 * QUEUES + 1 }
  /** Ms of its answers. */
  ms = 0
  held: Map<number, number> | undefined
  readonly #machine: TestMachine

  constructor(machine: TestMachine) {
    this.#machine = machine
  }

  attach(): void {}

  detach(): void {}

  reset(): void {}

  read(bar: number, offset: number, bytes: AccessBytes): number {
    const beganMs = performance.now()
    const value = this.#machine.readRegister(bar, offset, bytes)
    this.ms += performance.now() - beganMs
    return value
  }

  write(bar: number, offset: number, bytes: AccessBytes, value: number): void {
    if (this.held !== undefined && bar === DOORBELL_BAR) this.held.set(offset, value)
    else {
      const beganMs = performance.now()
      this.#machine.writeRegister(bar, offset, bytes, value)
      this.ms += performance.now() - beganMs
    }
  }

  /** Rings what was held back. */
  ring(): void {
    const held = this.held ?? new Map<number, number>()
    this.held = undefined
    for (const [offset, value] of held) this.write(DOORBELL_BAR, offset, 4, value)
  }
}

/** A machine with one of the cards, and its driver, which has packets to send. */
class Guest implements Disposable {
  readonly device: MachineDevice
  readonly driver: DriverModel
  readonly #machine: TestMachine
  readonly #headers: number
  readonly #pages: number

  constructor(path: string) {
    this.#machine = connectTestMachine(path, {
      memoryBytes: MEMORY_BYTES,
      vectors: 2 * QUEUES + 1,
    })
    this.#machine.unmapMemory(0, MEMORY_BYTES)
    this.#machine.mapMemory(MEMORY_AT, MEMORY_BYTES, 0)
    this.device = new MachineDevice(this.#machine)
    this.driver = new DriverModel(this.device, { base: MEMORY_AT, memory: this.#machine.memory })
    this.driver.probe()
    const sizes = { bufferBytes: PIECE_BYTES, entries: ENTRIES }
    this.driver.open({ queues: QUEUES, split: true, coalesce: true, ...sizes })
    const { memory } = this.driver
    this.#headers = memory.allocate(PIECE_BYTES)
    this.#pages = memory.allocate(PIECES * PIECE_BYTES)
    writeHeaders(memory.memory(this.#headers, HEADER_BYTES), PIECES * PIECE_BYTES)
  }

  /** Posts what there is room for on both sides, and does not ring yet. */
  fill(): void {
    this.device.held = new Map()
    for (const tx of this.driver.tx) tx.poll()
    for (const rx of this.driver.rx) {
      rx.discard()
      rx.post()
    }
    const pieces = [{ address: this.#headers, bytes: HEADER_BYTES }]
    for (let piece = 0; piece < PIECES; piece++) {
      pieces.push({ address: this.#pages + piece * PIECE_BYTES, bytes: PIECE_BYTES })
    }
    const options = { checksum: true, segmentBytes: PIECE_BYTES, headerBytes: HEADER_BYTES }
    for (const { queue } of this.driver.tx) {
      while (this.driver.sendPieces(queue, pieces, options) >= 0);
    }
  }

  [Symbol.dispose](): void {
    this.#machine.close()
  }
}

/** Ms that the machine waits for nothing: as long as most reads take. */
const NOTHING_MS = 0.2

/**
 * Ms of reads of a register of each card, the other card being at work, and of waits of the same thread
 * for nothing: other processes on its processor make both longer.
 */
function readsUnderLoad(
  guests: readonly [Guest, Guest],
  reads: number,
): { readonly taken: readonly number[]; readonly waited: readonly number[] } {
  const taken: number[] = []
  const waited: number[] = []
  while (taken.length < reads) {
    for (const guest of guests) guest.fill()
    for (const [at, guest] of guests.entries()) {
      guest.device.ring()
      // Waits until any moment of the card's turn.
      waitMs(0.3 * Math.random())
      const { device } = guests[at === 0 ? 1 : 0]
      const beganMs = performance.now()
      device.read(0, 0, 4)
      taken.push(performance.now() - beganMs)
      waited.push(waitMs(NOTHING_MS))
    }
  }
  const ascending = (a: number, b: number): number => a - b
  return { taken: taken.sort(ascending), waited: waited.sort(ascending) }
}

/** Spins. Returns the ms that it took. */
function waitMs(ms: number): number {
  const beganMs = performance.now()
  let passedMs = 0
  while (passedMs < ms) passedMs = performance.now() - beganMs
  return passedMs
}

/** Ms that a card takes for the commands of a bind: a queue is destroyed and created anew. */
function bind({ device, driver }: Guest): number {
  device.ms = 0
  const rx = driver.rx[0]
  if (rx === undefined) throw new Error('the driver has no queue')
  driver.admin.pass(DESTROY_RX, (args) => args.setUint32(0, 0))
  rx.restart()
  driver.createRx(rx)
  const { ms } = device
  rx.post()
  return ms
}

/**
 * Has all threads of this process, and those they start, go before other processes: their turns are not
 * the card's. The engine's own threads help to collect garbage, and a thread waits for those that began.
 */
function goFirst(): void {
  try {
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), -20)
  } catch {
    // A process without rights takes its turn with the others.
  }
}

answer(async ({ reads, binds }: MachineRequest) => {
  goFirst()
  const folder = mkdtempSync(join(tmpdir(), 'netmem-bench-'))
  const paths = ['a', 'b'].map((name) => join(folder, name))
  try {
    await using cards = await openWiredCards({ sockets: paths, queues: QUEUES, mtu: 4148 })
    using near = new Guest(paths[0] ?? '')
    using far = new Guest(paths[1] ?? '')
    const idle = Array.from({ length: binds }, () => bind(near))
    // Code is compiled in the first second, and what that leaves is collected.
    readsUnderLoad([near, far], reads / 2)
    const before = await cards.look()
    const beganMs = performance.now()
    const { taken, waited } = readsUnderLoad([near, far], reads)
    const p99 = Math.floor(0.99 * reads)
    const seconds = (performance.now() - beganMs) / 1e3
    const after = await cards.look()
    const bytes = after.map(({ stats }, at) => {
      return stats.device.rx_bytes - (before[at]?.stats.device.rx_bytes ?? 0)
    })
    return {
      bindMs: median(idle),
      readMs: median(taken),
      readP99Ms: taken[p99] ?? Number.NaN,
      readMaxMs: taken.at(-1) ?? Number.NaN,
      waitMs: median(waited),
      waitP99Ms: waited[p99] ?? Number.NaN,
      waitMaxMs: waited.at(-1) ?? Number.NaN,
      loadGbPerS: bytes.reduce((sum, count) => sum + count, 0) / 1e9 / seconds,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
