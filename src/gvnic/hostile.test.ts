// Drivers that mean harm: no card throws, nothing outside the guest's memory is read or written, and a
// good driver finds the card as it was.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { createLinkPair } from '../stack/link/link-pair.ts'
import { rounds } from '../testing/rounds.test.helper.ts'
import type { AccessBytes, PciBus, PciDevice } from '../vfio-user/index.ts'
import { MAC } from './gvnic.test.helper.ts'
import { Gvnic } from './gvnic.ts'
import { openWiredCards } from './open-wired-cards.ts'
import { connectServedCard } from './served-card.test.helper.ts'
import { HostileDriver } from './testing/hostile-driver.test.helper.ts'

const MEMORY_BYTES = 2 ** 21
const OUTSIDE_BYTES = 2 ** 18
/** Byte of all memory outside. */
const OUTSIDE = 0xc5
const BASE = 2 ** 32
const ACTS = 1500

/** Keeps what the card throws, since the driver may catch it. */
class WatchedCard implements PciDevice {
  readonly thrown: unknown[] = []
  readonly #card: Gvnic

  constructor(card: Gvnic) {
    this.#card = card
  }

  get identity() {
    return this.#card.identity
  }

  get bars() {
    return this.#card.bars
  }

  get msix() {
    return this.#card.msix
  }

  attach(bus: PciBus): void {
    this.#watch(() => this.#card.attach(bus))
  }

  detach(): void {
    this.#watch(() => this.#card.detach())
  }

  read(bar: number, offset: number, bytes: AccessBytes): number {
    return this.#watch(() => this.#card.read(bar, offset, bytes))
  }

  write(bar: number, offset: number, bytes: AccessBytes, value: number): void {
    this.#watch(() => this.#card.write(bar, offset, bytes, value))
  }

  reset(): void {
    this.#watch(() => this.#card.reset())
  }

  #watch<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      this.thrown.push(error)
      throw error
    }
  }
}

/** Memory of a guest within memory that is not the guest's. */
function surrounded() {
  const all = new Uint8Array(OUTSIDE_BYTES + MEMORY_BYTES + OUTSIDE_BYTES).fill(OUTSIDE)
  const memory = all.subarray(OUTSIDE_BYTES, OUTSIDE_BYTES + MEMORY_BYTES)
  const outside = [all.subarray(0, OUTSIDE_BYTES), all.subarray(OUTSIDE_BYTES + MEMORY_BYTES)]
  return { memory, outside }
}

const frames = [
  ...[60, 1400].map((bytes) => frame({ payload: pattern(bytes) })),
  frame({ payload: pattern(1000), ipVersion: 6 }),
  frame({ payload: pattern(300), protocol: 'udp' }),
  frame({ payload: pattern(700), vlan: 9 }),
]
const strays = [
  0,
  1,
  0xfee0_0000,
  BASE - 1,
  BASE + MEMORY_BYTES,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 64 - 4096,
]

for (let seed = 1; seed <= rounds(4); seed++) {
  test(`two hostile drivers on one wire (seed ${seed})`, () => {
    const ends = createLinkPair({ queueBytes: 2 ** 22 }).map((link, index) => {
      const card = new Gvnic({ link, mac: MAC, queues: 2, mtu: 9000 })
      const watched = new WatchedCard(card)
      const { memory, outside } = surrounded()
      const ram = { base: BASE, memory }
      const hostile = new HostileDriver(watched, { seed: 2 * seed + index, ram, strays, frames })
      return { card, watched, memory, outside, hostile }
    })
    const [left, right] = ends
    assert.ok(left !== undefined && right !== undefined)
    let nowNs = 0
    let moved = 0
    for (let act = 0; act < ACTS; act++) {
      for (const { hostile, card } of ends) {
        hostile.act()
        moved += card.poll(nowNs)
      }
      nowNs += 1e6
    }
    // A test that only meets closed doors tests nothing.
    assert.ok(moved > 100, String(moved))
    const canary = new Uint8Array(16).fill(OUTSIDE)
    for (const { watched, memory, outside, card } of ends) {
      assert.deepEqual(watched.thrown, [])
      assert.ok(outside.every((bytes) => bytes.every((byte) => byte === OUTSIDE)))
      assert.equal(Buffer.from(memory.buffer, memory.byteOffset, memory.length).indexOf(canary), -1)
      const { rx_packets, tx_packets, rx_dma_faults, tx_dma_faults } = card.stats.device
      const counts = { rx_packets, tx_packets, rx_dma_faults, tx_dma_faults }
      assert.ok(
        Object.values(counts).every((count) => count > 0),
        JSON.stringify(counts),
      )
    }
    const [sender, receiver] = ends.map(({ hostile }) => hostile.restart())
    // Frames that are still on the wire arrive first.
    while (right.card.poll(nowNs) + left.card.poll(nowNs) > 0) receiver?.poll()
    const sent = frame({ payload: pattern(333), sourcePort: 4711 })
    assert.notEqual(sender?.send(0, sent), -1)
    left.card.poll(nowNs)
    right.card.poll(nowNs)
    const [packet] = receiver?.poll() ?? []
    assert.ok(packet !== undefined)
    assert.deepEqual(Uint8Array.of(...packet.headers, ...packet.payload), sent)
  })
}

const skip = process.platform === 'linux' ? false : 'needs Linux'

test('hostile drivers in machines of their own leave their cards to good ones', {
  skip,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-hostile-'))
  try {
    const sockets = [join(folder, 'a.sock'), join(folder, 'b.sock')]
    await using cards = await openWiredCards({ sockets, queues: 2 })
    {
      const ends = sockets.map((path, index) => {
        const { card, machine } = connectServedCard(path, 2 * MEMORY_BYTES)
        const memory = machine.memory.subarray(MEMORY_BYTES)
        const ram = { base: MEMORY_BYTES, memory }
        return {
          machine,
          driver: new HostileDriver(card, { seed: 90 + index, ram, strays, frames }),
        }
      })
      for (let act = 0; act < 300; act++) for (const { driver } of ends) driver.act()
      for (const { driver } of ends) driver.restart()
      for (const { machine } of ends) machine.close()
    }
    const looks = await cards.look()
    assert.ok(looks.every(({ state }) => state.commands.refused > 0))
    assert.ok(looks.every(({ stats }) => stats.device.tx_packets > 0))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
