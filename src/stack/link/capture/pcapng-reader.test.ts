import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../../testing/pools.test.helper.ts'
import { filler, linkOf, PcapngBuilder, seenOf } from './capture.test.helper.ts'

const times = (file: Uint8Array) => seenOf(linkOf(file)).map(({ timeNs }) => timeNs)

test('packets are read as they were written, with any blocks between them', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('packet' as const),
      length: fc.nat(1900),
      missing: fc.nat(2),
      comment: fc.constantFrom('', 'a', 'four', 'longer than that'),
      type: fc.constantFrom(6, 2),
    }),
    fc.record({ kind: fc.constant('simple' as const), length: fc.nat(1900), missing: fc.nat(2) }),
    fc.record({ kind: fc.constant('unknown' as const), length: fc.nat(9000) }),
    fc.record({ kind: fc.constant('section' as const), little: fc.boolean(), extra: fc.nat(99) }),
  )
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.boolean(),
      fc.constantFrom(4096, 5001, 9000),
      fc.integer({ min: 1, max: 5000 }),
      (steps, little, windowBytes, readBytes) => {
        const builder = new PcapngBuilder(little).section().interface().interface({ tsresol: 9 })
        const expected: object[] = []
        let timeNs = 0
        let first: number | undefined
        for (const [at, each] of steps.entries()) {
          const bytes = filler('length' in each ? each.length : 0, at)
          if (each.kind === 'packet') {
            const originalLength = each.length + each.missing * 100
            const id = at % 2
            const us = 1_700_000_000_000_000 + at * 1000
            const ticks = id === 0 ? BigInt(us) : BigInt(us) * 1000n
            const { type, comment } = each
            builder.packet(bytes, ticks, { id, originalLength, type, comment })
            first ??= us
            timeNs = (us - first) * 1000
            expected.push({ bytes, timeNs, originalLength, checksum: 'complete' })
          } else if (each.kind === 'simple') {
            builder.simple(bytes)
            expected.push({ bytes, timeNs, originalLength: each.length, checksum: 'complete' })
          } else if (each.kind === 'unknown') {
            builder.block(0x0bad + at, bytes)
          } else builder.section(each.little, each.extra).interface().interface({ tsresol: 9 })
        }
        const link = linkOf(builder.bytes(), { windowBytes, readBytes })
        assert.deepEqual(seenOf(link), expected)
        assert.ok(link.ended && !link.truncated)
      },
    ),
    { numRuns: 200 },
  )
})

test('resolutions of interfaces', () => {
  const cases: [number, bigint, number][] = [
    [0, 2n, 2e9],
    [3, 1500n, 1_500_000_000],
    [6, 1n, 1000],
    [9, 123_456_789_012_345n, 123_456_789_012_345],
    [12, 5_000_000n, 5000],
    [0x80 | 10, 512n, 500_000_000],
    [0x80 | 32, 1n << 31n, 500_000_000],
  ]
  for (const [tsresol, ticks, ns] of cases) {
    const since = 1n << 40n
    const file = new PcapngBuilder()
      .section()
      .interface({ tsresol })
      .packet(filler(60, 1), since)
      .packet(filler(60, 2), since + ticks)
      .bytes()
    assert.deepEqual(times(file), [0, ns], `if_tsresol ${tsresol}`)
  }
})

test('interfaces with different units and offsets tell one time', () => {
  for (const little of [true, false]) {
    const second = 1_700_000_000n
    const file = new PcapngBuilder(little)
      .section()
      .interface({ tsresol: 6, tsoffset: 1_000_000_000n })
      .interface({ tsresol: 9 })
      .interface({ tsresol: 3, tsoffset: 2_000_000_000n })
      .packet(filler(60, 1), (second - 1_000_000_000n) * 1_000_000n)
      .packet(filler(60, 2), second * 1_000_000_000n + 5n, { id: 1 })
      // An offset may make up for a time that is behind it.
      .packet(filler(60, 3), 0n, { id: 2 })
      .bytes()
    assert.deepEqual(times(file), [0, 5, 300_000_000e9])
  }
})

test('a simple packet is as long as its interface kept of it', () => {
  const file = new PcapngBuilder()
    .section()
    .interface({ snapBytes: 100 })
    .simple(filler(100, 1), 5000)
    .simple(filler(60, 2))
    .bytes()
  const seen = seenOf(linkOf(file))
  assert.deepEqual(
    seen.map(({ bytes, originalLength }) => [bytes.length, originalLength]),
    [
      [100, 5000],
      [60, 60],
    ],
  )
})

test('a file cut at any byte ends there, and says so', () => {
  const parts = [
    new PcapngBuilder().section(),
    new PcapngBuilder().interface(),
    new PcapngBuilder().packet(filler(61, 1), 1n, { comment: 'no' }),
    new PcapngBuilder().block(77, filler(50, 2)),
    new PcapngBuilder().packet(filler(0, 1), 2n),
    new PcapngBuilder().simple(filler(33, 1)),
  ].map((builder) => builder.bytes())
  const file = Buffer.concat(parts)
  const ends = parts.map((_, at) =>
    parts.slice(0, at + 1).reduce((sum, part) => sum + part.length, 0),
  )
  for (let bytes = 24; bytes <= file.length; bytes++) {
    const link = linkOf(file.subarray(0, bytes))
    const seen = seenOf(link)
    assert.equal(link.truncated, !ends.includes(bytes), `${bytes}`)
    // A packet may be whole when its block is not.
    assert.ok(seen.length >= [2, 4, 5].filter((at) => (ends[at] ?? 0) <= bytes).length)
  }
  for (let bytes = 0; bytes < 24; bytes++) {
    assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(file.subarray(0, bytes)))
  }
})

/** The file is refused: when it is opened, or later. */
function assertRefused(builder: PcapngBuilder, windowBytes = 2 ** 20): void {
  assertCode('NETMEM_CAPTURE_INVALID', () => seenOf(linkOf(builder.bytes(), { windowBytes })))
}

function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer)
}

test('lengths that cannot be are refused', () => {
  const begin = () => new PcapngBuilder().section().interface()
  // Lengths of a block.
  for (const length of [0, 4, 11, 13, 0xffff_ffff]) {
    assertRefused(begin().raw(u32(77, length, 0, 0, 0)))
    assertRefused(new PcapngBuilder().raw(u32(0x0a0d0d0a, length, 0x1a2b3c4d, 1, 0, 0, 28)))
  }
  // Lengths of a packet: more than its block, and more than any.
  for (const length of [61, 262_145, 0xffff_ffff]) {
    assertRefused(begin().block(6, u32(0, 0, 0, length, length, ...new Array<number>(14).fill(0))))
    assertRefused(begin().block(3, u32(length, ...new Array<number>(14).fill(0))))
  }
  assertRefused(begin().raw(u32(6, 0x7fff_fffc, 0, 0, 0, 0x7000_0000, 0x7000_0000, 0)))
  // Too short for what it should have.
  assertRefused(begin().block(6, u32(0)))
  assertRefused(begin().block(3, u32()))
  assertRefused(new PcapngBuilder().section().block(1, u32(1)))
  // A block that ends with another length.
  assertRefused(
    begin()
      .raw(u32(77, 16, 0, 20))
      .packet(filler(60, 1), 0n),
  )
  // An option beyond its block.
  assertRefused(new PcapngBuilder().section().block(1, u32(1, 0, 0xffff_0009)))
  assertRefused(new PcapngBuilder().section().block(1, new Uint8Array(300_000)))
})

test('a block of no interest may claim any length, and is the end of the file', () => {
  const file = new PcapngBuilder().section().interface().packet(filler(60, 1), 0n)
  const link = linkOf(file.raw(u32(77, 0xffff_fffc, 0, 0, 0)).bytes())
  assert.equal(seenOf(link).length, 1)
  assert.ok(link.truncated)
})

test('packets of interfaces that are not there are refused', () => {
  assertRefused(new PcapngBuilder().section().packet(filler(60, 1), 0n))
  assertRefused(new PcapngBuilder().section().simple(filler(60, 1)))
  assertRefused(new PcapngBuilder().section().interface().packet(filler(60, 1), 0n, { id: 1 }))
  // A section begins without interfaces.
  assertRefused(new PcapngBuilder().section().interface().section().packet(filler(60, 1), 0n))
  const many = new PcapngBuilder().section()
  for (let id = 0; id < 4097; id++) many.interface()
  assertRefused(many)
})

test('packets of interfaces that are not Ethernet are counted and skipped', () => {
  for (const little of [true, false]) {
    const mixed = new PcapngBuilder(little)
      .section()
      // The Ethernet interface may be described after packets of others.
      .interface({ linkType: 113 })
      .packet(filler(60, 1), 5n)
      .packet(filler(60, 2), 5n, { type: 2 })
      .simple(filler(60, 3))
      .interface()
      .packet(filler(61, 4), 10n, { id: 1 })
      // Longer than any frame that is taken, and than the window.
      .packet(filler(9000, 5), 11n, { comment: 'long' })
      .packet(filler(62, 6), 12n, { id: 1, type: 2 })
      .section()
      .interface({ linkType: 105 })
      .packet(filler(60, 7), 0n)
    const link = linkOf(mixed.bytes())
    const seen = seenOf(link)
    assert.deepEqual(
      seen.map(({ bytes, timeNs }) => [bytes, timeNs]),
      [
        [filler(61, 4), 0],
        [filler(62, 6), 2000],
      ],
    )
    assert.deepEqual([link.otherLinkPackets, link.truncated], [5, false])
  }
})

test('a capture without an Ethernet interface is refused', () => {
  const wireless = new PcapngBuilder().section().interface({ linkType: 105 })
  // The capture has no packet of another link.
  assert.equal(seenOf(linkOf(wireless.bytes())).length, 0)
  const offset = wireless.bytes().length
  wireless.packet(filler(60, 1), 0n).packet(filler(60, 1), 0n)
  assert.throws(
    () => linkOf(wireless.bytes()),
    new RegExp(`At byte ${offset} of the capture: link type 105, IEEE802_11`),
  )
  assertRefused(wireless)
})

test('sections of unknown versions or byte order are refused', () => {
  const version = new PcapngBuilder().section().bytes()
  version[12] = 2
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(version))
  const order = new PcapngBuilder().section().bytes()
  order[8] = 0
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(order))
})
