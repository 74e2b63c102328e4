/** Tests that every driver of a NIC passes: this project's drivers or yours. */

import assert from 'node:assert/strict'
import { test as nodeTest } from 'node:test'
import type { DriverNic } from '../host/driver/driver-nic.ts'
import { HandNic } from './hand-nic.ts'

/** One delivered packet: a copy of its bytes, and the function that returns its memory. */
export interface DeliveredPacket {
  /** Number of the queue that received it. */
  readonly queue: number
  /** All readable bytes of the frame, in order. */
  readonly frame: Uint8Array
  /** Returns the memory of the packet. */
  readonly free: () => void
}

/** Driver with queues 0 and 1 open. */
export interface TestedDriver {
  /** Delivers the packets that have arrived. */
  readonly poll: () => unknown
  /** Stops its queues and returns posted memory to its pools. */
  readonly close: () => Promise<void>
  /** Number of netmem out of all its pools, posted ones included. */
  readonly out: () => number
}

/** Opens queues 0 and 1 of `nic`. Rejects, with no netmem out, if one of them does not start. */
export type OpenDriver = (
  nic: DriverNic,
  deliver: (packet: DeliveredPacket) => void,
) => Promise<TestedDriver>

/** Options of {@link driverConformance}. */
export interface DriverConformanceOptions {
  /** Registers one test. `test` of `node:test` by default. */
  readonly test?: (name: string, body: () => Promise<void>) => unknown
}

/** Number of frames that makes every pool dry: more than any driver under test has posted. */
const MANY_FRAMES = 10_000

/**
 * Registers the tests that every driver passes.
 *
 * @param open called for each test. Pools of 2 to 100 pages for each queue keep the tests quick.
 */
export function driverConformance(
  name: string,
  open: OpenDriver,
  options: DriverConformanceOptions = {},
): void {
  const register = options.test ?? ((title, body) => nodeTest(title, body))
  const test = (what: string, body: (bench: Bench) => Promise<void> | void): void => {
    register(`${name}: ${what}`, async () => {
      const nic = new HandNic(2)
      const packets: DeliveredPacket[] = []
      const driver = await open(nic, (packet) => packets.push(packet))
      let closing: Promise<void> | undefined
      const close = (): Promise<void> => (closing ??= driver.close())
      await body({ nic, packets, driver, close })
      for (const packet of packets.splice(0)) packet.free()
      await close()
      assert.equal(driver.out(), 0, 'all of its memory is back in its pools')
      assert.ok(!nic.isRunning(0) && !nic.isRunning(1), 'its queues are stopped')
    })
  }
  test('delivers what arrives, in order, on its queue', deliversInOrder)
  test('delivers headers alone', ({ nic, packets, driver }) => {
    nic.receive(0, HEADER, new Uint8Array(0))
    driver.poll()
    assertFrame(packets[0]?.frame, HEADER)
  })
  test('delivers what was not split', unsplit)
  test('delivers packets larger than a buffer whole, or drops them whole', largePackets)
  test('drops at the ring when its pool is dry, and continues when memory comes back', dryPool)
  test('a holder that gives nothing back harms its own queue only', holder)
  test('gives everything back when it is closed', () => {})
  test('packets outlive the driver', async ({ nic, packets, driver, close }) => {
    nic.receive(0, HEADER, payload(500, 1))
    driver.poll()
    await close()
    assert.ok(driver.out() > 0, 'what was delivered is still out')
    assertFrame(packets[0]?.frame, frame(500, 1))
  })
  register(`${name}: leaves nothing out when a queue does not start`, async () => {
    const nic = new HandNic(2)
    nic.failing.push(1)
    await assert.rejects(open(nic, () => {}))
    assert.ok(!nic.isRunning(0) && !nic.isRunning(1), 'the queue that did start is stopped again')
  })
}

/** A driver under test, and its NIC. */
interface Bench {
  readonly nic: HandNic
  /** Packets that were delivered, and that the test has not taken. */
  readonly packets: DeliveredPacket[]
  readonly driver: TestedDriver
  /** Closes the driver, once. */
  close(): Promise<void>
}

const HEADER = Uint8Array.from({ length: 66 }, (_, at) => at + 100)

function payload(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + seed * 31) & 255)
}

function frame(length: number, seed: number): Uint8Array {
  return Uint8Array.from([...HEADER, ...payload(length, seed)])
}

/** Compares bytes of any kinds of views. */
function assertFrame(actual: Uint8Array | undefined, expected: Uint8Array, message?: string): void {
  assert.ok(actual !== undefined, 'a packet is delivered')
  assert.deepEqual(new Uint8Array(actual), expected, message)
}

function deliversInOrder(bench: Bench): void {
  for (let seed = 0; seed < 200; seed++) {
    const length = 1 + ((seed * 37) % 1000)
    assert.ok(bench.nic.receive(seed % 2, HEADER, payload(length, seed)), 'a buffer is posted')
    bench.driver.poll()
    const [packet, ...others] = bench.packets.splice(0)
    assert.ok(packet !== undefined && others.length === 0, 'one packet for each frame')
    assert.equal(packet.queue, seed % 2)
    assertFrame(packet.frame, frame(length, seed))
    packet.free()
  }
}

function unsplit(bench: Bench): void {
  for (const length of [1, 100, 900]) {
    bench.nic.receive(1, HEADER, payload(length, length), false)
    bench.driver.poll()
    const [packet] = bench.packets.splice(0)
    assertFrame(packet?.frame, frame(length, length))
    packet?.free()
  }
}

function largePackets(bench: Bench): void {
  bench.nic.receive(0, HEADER, payload(9000, 3))
  bench.nic.receive(0, HEADER, payload(10, 4))
  bench.driver.poll()
  const [first, second] = bench.packets
  if (second !== undefined) assertFrame(first?.frame, frame(9000, 3))
  assertFrame(bench.packets.at(-1)?.frame, frame(10, 4), 'the next packet is itself again')
}

function fill(bench: Bench, queue: number): void {
  for (let i = 0; i < MANY_FRAMES; i++) {
    if (!bench.nic.receive(queue, HEADER, payload(64, i))) return
    bench.driver.poll()
  }
  assert.fail('packets that are held use up the pool')
}

function dryPool(bench: Bench): void {
  fill(bench, 0)
  const held = bench.packets.splice(0)
  for (const [i, packet] of held.entries()) {
    assertFrame(packet.frame, frame(64, i), 'nothing was overwritten')
    packet.free()
  }
  bench.driver.poll()
  assert.ok(bench.nic.receive(0, HEADER, payload(64, 1)), 'memory that came back is posted')
  bench.driver.poll()
  assert.equal(bench.packets.length, 1)
}

function holder(bench: Bench): void {
  fill(bench, 0)
  const held = bench.packets.splice(0)
  for (let i = 0; i < 1000; i++) {
    assert.ok(bench.nic.receive(1, HEADER, payload(64, i)), 'the other queue continues')
    bench.driver.poll()
    const [packet] = bench.packets.splice(0)
    assertFrame(packet?.frame, frame(64, i))
    packet?.free()
  }
  bench.packets.push(...held)
}
