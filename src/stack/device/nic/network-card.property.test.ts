// Random frames, buffers, split modes and pauses against a plain model of what a driver gets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { FrameKind } from '../../../wire/frame-layout.ts'
import { ACK, PSH } from '../../../wire/tcp.ts'
import type { HeaderSplit, RxQueueConfig } from '../../rings/nic-types.ts'
import { RX_CHECKSUM_OK, RX_SPLIT } from '../../rings/rx-front-end.ts'
import {
  arp,
  checksumsAreRight,
  type FrameSpec,
  frame,
  layoutOf,
  pattern,
  timestamps,
} from './frames.test.helper.ts'
import {
  oneQueue,
  type ReadPacket,
  type TestFrame,
  testNic,
  UNSPLIT,
  wholeOf,
} from './nic.test.helper.ts'

const HEADER_BYTES = 96

const spec: fc.Arbitrary<FrameSpec> = fc
  .record({
    ipVersion: fc.constantFrom<4 | 6>(4, 6),
    protocol: fc.constantFrom<'tcp' | 'udp' | 'icmp'>('tcp', 'tcp', 'udp', 'icmp'),
    fragment: fc.boolean(),
    badChecksum: fc.integer({ min: 0, max: 9 }),
    options: fc.constantFrom(0, 4, 12, 40),
    bytes: fc.oneof(fc.nat(20), fc.nat(2000)),
    seed: fc.nat(255),
    padding: fc.constantFrom(0, 0, 0, 6),
    flags: fc.constantFrom(ACK, ACK | PSH, 2, 17),
  })
  .map(({ options, bytes, seed, badChecksum, fragment, ...rest }) => ({
    ...rest,
    options: rest.protocol === 'tcp' ? pattern(options) : new Uint8Array(0),
    payload: pattern(bytes, seed),
    badChecksum: badChecksum === 0,
    fragment: fragment && rest.ipVersion === 4,
  }))

const anyFrame: fc.Arbitrary<TestFrame> = fc
  .record({
    bytes: fc.oneof(
      { weight: 6, arbitrary: spec.map((one) => frame(one)) },
      { weight: 1, arbitrary: fc.integer({ min: 14, max: 80 }).map(arp) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
    ),
    cut: fc.constantFrom(0, 0, 0, 0, 30),
    partial: fc.integer({ min: 0, max: 5 }),
  })
  .map(({ bytes, cut, partial }) => ({
    bytes: bytes.slice(0, Math.max(0, bytes.length - cut)),
    originalLength: bytes.length,
    checksum: partial === 0 ? 'partial' : 'complete',
  }))

interface Expected {
  readonly header: Uint8Array
  readonly rest: Uint8Array
  readonly checksumOk: boolean
}

/** Returns the driver's view of a frame that is not dropped. */
function model(one: TestFrame, config: RxQueueConfig): Expected {
  const { bytes, originalLength = bytes.length } = one
  const layout = layoutOf(bytes, originalLength)
  const transport = layout.kind === FrameKind.tcp || layout.kind === FrameKind.udp
  const whole = bytes.length === originalLength
  const checksumOk =
    transport && (one.checksum === 'partial' || (whole && checksumsAreRight(bytes, 0, layout)))
  if (config.split === 'off' || !transport || layout.headerLength > HEADER_BYTES) {
    return { header: new Uint8Array(0), rest: bytes, checksumOk }
  }
  const packet = bytes.slice(0, layout.headerLength + layout.payloadLength)
  let at = layout.headerLength
  if (packet.length <= config.splitThresholdBytes && packet.length <= HEADER_BYTES) {
    at = packet.length
  }
  if (config.split === 'fill') at = Math.min(packet.length, HEADER_BYTES)
  return { header: packet.slice(0, at), rest: packet.slice(at), checksumOk }
}

/** The sizes of the buffers that so many bytes take, of those posted, or undefined if they are too few. */
function take(sizes: readonly number[], bytes: number): number[] | undefined {
  const taken: number[] = []
  let left = bytes
  for (const size of sizes) {
    if (left <= 0) return taken
    taken.push(size)
    left -= size
  }
  return left <= 0 ? taken : undefined
}

function check(packet: ReadPacket | undefined, expected: Expected, sizes: readonly number[]): void {
  assert.ok(packet !== undefined)
  assert.deepEqual(packet.header, expected.header)
  assert.deepEqual(wholeOf(packet), Uint8Array.of(...expected.header, ...expected.rest))
  assert.deepEqual(
    packet.pieces.slice(0, -1).map(({ length }) => length),
    sizes.slice(0, -1),
  )
  assert.equal((packet.flags & RX_CHECKSUM_OK) !== 0, expected.checksumOk)
  assert.equal((packet.flags & RX_SPLIT) !== 0, expected.header.length > 0)
}

const configs: fc.Arbitrary<RxQueueConfig> = fc.record({
  split: fc.constantFrom<HeaderSplit>('off', 'headers', 'fill'),
  splitThresholdBytes: fc.constantFrom(0, 60, 90, 200),
  boundToDevice: fc.constant(false),
  coalesce: fc.constant(false),
})

test('what a driver reads is the frame, in order, and every drop is accounted for', () => {
  const batches = fc.array(
    fc.record({
      post: fc.array(fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 3000 })), {
        maxLength: 12,
      }),
      frames: fc.array(anyFrame, { maxLength: 8 }),
      budget: fc.integer({ min: 0, max: 10 }),
    }),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(configs, batches, fc.boolean(), (config, steps, pause) => {
      const options = { pause, clockMs: () => 0 }
      const { nic, link, driver } = oneQueue(config, options, {
        entries: 16,
        headerBytes: HEADER_BYTES,
        headersPerPage: 5,
      })
      const waiting: TestFrame[] = []
      let posted: number[] = []
      let received = 0
      let dropped = 0
      let short = 0
      for (const { post, frames, budget } of steps) {
        const sizes = post.slice(0, 16 - posted.length)
        driver.post(...sizes)
        posted.push(...sizes)
        link.put(...frames)
        waiting.push(...frames)
        let taken = 0
        let room = 16
        const expected: { readonly of: Expected; readonly sizes: number[] }[] = []
        while (taken < budget) {
          const next = waiting[0]
          if (next === undefined) break
          if (next.bytes.length < 14) short++
          else {
            const of = model(next, config)
            const buffers = take(posted, of.rest.length)
            const completions = Math.max(1, buffers?.length ?? 0)
            if (buffers === undefined || completions > room) {
              if (pause) break
              dropped++
            } else {
              room -= completions
              posted = posted.slice(buffers.length)
              received++
              expected.push({ of, sizes: buffers })
            }
          }
          taken++
          waiting.shift()
        }
        assert.equal(nic.receive(0, budget), taken)
        const read = driver.read()
        assert.equal(read.length, expected.length)
        for (const [at, one] of expected.entries()) check(read[at], one.of, one.sizes)
        assert.ok(driver.untouched)
      }
      const stats = nic.counters.stats().device
      assert.equal(stats.rx_packets, received)
      assert.equal(stats.rx_hw_drop_overruns, dropped)
      assert.equal(stats.rx_hw_drops, dropped)
      assert.equal(stats.rx_length_errors, short)
      assert.equal(stats.rx_csum_unnecessary + stats.rx_csum_bad + stats.rx_csum_none, received)
      assert.equal(driver.posted.size, posted.length)
    }),
    { numRuns: 120 },
  )
})

interface Sent {
  readonly port: number
  readonly bytes: Uint8Array
}

test('coalesced or not, the stream of each flow is what was sent', () => {
  const pieces = fc.array(
    fc.record({
      flow: fc.constantFrom(1, 1, 1, 2),
      bytes: fc.integer({ min: 1, max: 400 }),
      skip: fc.integer({ min: 0, max: 8 }),
      psh: fc.integer({ min: 0, max: 5 }),
      stamp: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 40 },
  )
  const splits = fc.constantFrom<HeaderSplit>('off', 'headers', 'fill')
  fc.assert(
    fc.property(
      pieces,
      splits,
      fc.nat(12),
      fc.integer({ min: 500, max: 4000 }),
      (list, split, budget, size) => {
        const { nic, link, driver } = oneQueue({ split, coalesce: true })
        driver.post(...new Array<number>(64).fill(size))
        const seq = [0, 0xffff_fff0, 0x7fff_fff0]
        const sent: Sent[] = []
        for (const { flow, bytes, skip, psh, stamp } of list) {
          const at = ((seq[flow] ?? 0) + (skip === 0 ? 5 : 0)) >>> 0
          const payload = pattern(bytes, at & 0xff)
          const one = frame({
            sourcePort: flow,
            seq: at,
            payload,
            flags: psh === 0 ? ACK | PSH : ACK,
            options: timestamps(stamp),
          })
          link.put(one)
          sent.push({ port: flow, bytes: payload })
          seq[flow] = (at + bytes) >>> 0
        }
        while (link.left > 0) nic.receive(0, budget + 1)
        driver.read()
        let next = 0
        for (const packet of driver.packets) {
          const whole = wholeOf(packet)
          const layout = layoutOf(whole)
          assert.equal(layout.kind, FrameKind.tcp)
          assert.equal(layout.headerLength + layout.payloadLength, whole.length)
          const parts = sent.slice(next, next + packet.segments)
          next += packet.segments
          assert.ok(parts.every(({ port }) => port === layout.sourcePort))
          assert.deepEqual(
            whole.slice(layout.headerLength),
            Uint8Array.from(parts.flatMap(({ bytes }) => [...bytes])),
          )
        }
        assert.equal(next, sent.length)
        assert.equal(nic.counters.stats().device.rx_hw_drops, 0)
      },
    ),
    { numRuns: 80 },
  )
})

test('random bytes as frames, in any number of queues: nothing throws, all are accounted for', () => {
  const header = fc.constantFrom<readonly number[]>(
    [],
    [8, 0, 0x45],
    [0x86, 0xdd, 0x60],
    [0x81, 0, 0, 1, 8, 0, 0x45],
  )
  const bytes = fc
    .tuple(header, fc.uint8Array({ maxLength: 300 }), fc.boolean())
    .map(([start, rest, tcp]) => {
      const made = Uint8Array.of(...new Uint8Array(12), ...start, ...rest)
      if (tcp && made.length > 23) made[23] = 6
      if (tcp && made.length > 20) made[20] = 0
      if (tcp && made.length > 17)
        made.set([0, made.length - 14 > 255 ? 255 : made.length - 14], 16)
      return made
    })
  const frames = fc.array(fc.record({ bytes, originalLength: fc.nat(400) }), { maxLength: 40 })
  fc.assert(
    fc.property(frames, configs, fc.boolean(), (list, config, coalesce) => {
      const { nic, link, drivers } = testNic({ queues: 3 })
      for (const [queue, driver] of drivers.entries()) {
        const started = queue === 2 ? UNSPLIT : { ...config, coalesce }
        nic.startQueue(queue, driver.frontEnd, started)
        driver.post(...Array.from({ length: 40 }, (_, at) => 1 + at * 7))
      }
      link.put(...list)
      assert.equal(nic.receive(0, Infinity), list.length)
      let read = 0
      for (const driver of drivers) {
        for (const { segments } of driver.read()) read += segments
        assert.ok(driver.untouched)
      }
      const { rx_packets, rx_hw_drops, rx_length_errors } = nic.counters.stats().device
      assert.equal(read, rx_packets)
      assert.equal(rx_packets + rx_hw_drops + rx_length_errors, list.length)
    }),
    { numRuns: 150 },
  )
})
