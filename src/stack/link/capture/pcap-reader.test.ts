import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../../testing/pools.test.helper.ts'
import { buildTcpFrame, buildUdpFrame } from '../../../wire/build-frame.test.helper.ts'
import { filler, linkOf, memoryOf, seenOf, sourceOf } from './capture.test.helper.ts'
import { CaptureLink, createCaptureLink } from './capture-link.ts'
import { encodePcap, writePcap } from './pcap-writer.test.helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'netmem-pcap-'))
after(() => rmSync(folder, { recursive: true }))

test('packets as they were written: both byte orders, both resolutions, any window and read size', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ length: fc.nat(1900), gapNs: fc.nat(3e9), missing: fc.nat(3) }), {
        maxLength: 30,
      }),
      fc.boolean(),
      fc.constantFrom('us' as const, 'ns' as const),
      fc.constantFrom(4096, 5001, 9000),
      fc.integer({ min: 1, max: 5000 }),
      (specs, bigEndian, resolution, windowBytes, readBytes) => {
        let timeNs = 1_700_000_000_123_456
        const packets = specs.map(({ length, gapNs, missing }, at) => {
          timeNs += gapNs
          return { bytes: filler(length, at), timeNs, originalLength: length + missing * 1000 }
        })
        const file = encodePcap(packets, { bigEndian, resolution })
        const link = linkOf(file, { windowBytes, readBytes })
        const unitNs = resolution === 'us' ? 1000 : 1
        const inUnits = (ns: number) => Math.floor(ns / unitNs) * unitNs
        assert.deepEqual(
          seenOf(link),
          packets.map(({ bytes, timeNs: at, originalLength }) => ({
            bytes,
            timeNs: inUnits(at) - inUnits(packets[0]?.timeNs ?? 0),
            originalLength,
            checksum: 'complete',
          })),
        )
        assert.ok(link.ended && !link.truncated)
      },
    ),
    { numRuns: 200 },
  )
})

test('kept timing: a frame is there when its time has come, and not before', () => {
  const packets = [0, 1000, 1000, 500, 9000].map((ns, at) => ({
    bytes: filler(60, at),
    timeNs: 5e9 + ns,
  }))
  const file = encodePcap(packets, { resolution: 'ns' })
  const kept = linkOf(file)
  assert.equal(kept.nextAtNs(), 0)
  assert.equal(kept.receive(0)?.timeNs, 0)
  assert.equal(kept.nextAtNs(), 1000)
  assert.equal(kept.receive(999), undefined)
  assert.equal(kept.receive(1000)?.timeNs, 1000)
  assert.equal(kept.receive(1000)?.timeNs, 1000)
  // Stamped out of order: it arrives with the packet before it.
  assert.equal(kept.receive(1000)?.timeNs, 1000)
  assert.equal(kept.nextAtNs(), 9000)
  assert.ok(!kept.ended)
  assert.equal(kept.receive(10_000)?.timeNs, 9000)
  assert.ok(kept.ended)
  assert.equal(kept.nextAtNs(), Number.POSITIVE_INFINITY)

  const none = linkOf(file, { keepTiming: false })
  for (let taken = 0; taken < 5; taken++) {
    assert.ok(none.nextAtNs() <= 7)
    assert.equal(none.receive(7)?.timeNs, 7)
  }
  assert.ok(none.ended)
  assert.equal(none.nextAtNs(), Number.POSITIVE_INFINITY)
})

test('a file cut at any byte ends there, and says so', () => {
  const packets = [40, 0, 300].map((length, at) => ({ bytes: filler(length, at), timeNs: at }))
  const file = encodePcap(packets)
  const ends = [24, 24 + 56, 24 + 72, 24 + 72 + 316]
  for (let bytes = 24; bytes <= file.length; bytes++) {
    const link = linkOf(file.subarray(0, bytes))
    const whole = ends.filter((end) => end <= bytes).length - 1
    assert.equal(seenOf(link).length, whole)
    assert.equal(link.truncated, !ends.includes(bytes))
  }
  for (let bytes = 0; bytes < 24; bytes++) {
    assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(file.subarray(0, bytes)))
  }
})

test('a length that cannot be is refused where it is met', () => {
  const file = encodePcap([
    { bytes: filler(60, 1), timeNs: 0 },
    { bytes: filler(60, 2), timeNs: 0 },
  ])
  for (const length of [0xffff_ffff, 0x8000_0000, 262_145]) {
    const hostile = file.slice()
    new DataView(hostile.buffer).setUint32(24 + 76 + 8, length, true)
    const source = sourceOf(hostile)
    const link = new CaptureLink(source, true, true, memoryOf(2 ** 21))
    assert.ok(link.receive(0) !== undefined)
    assert.ok(!link.ended)
    assert.ok(link.nextAtNs() <= 0)
    assertCode('NETMEM_CAPTURE_INVALID', () => link.receive(0))
    assert.ok(link.ended)
    assert.equal(link.receive(0), undefined)
    link.close()
    link.close()
    assert.equal(source.closed, 1)
  }
})

test('frames of 256 KiB are accepted', () => {
  const path = join(folder, 'large.pcap')
  const packets = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((timeNs) => ({
    bytes: filler(262_144 - timeNs + 1, timeNs),
    timeNs,
  }))
  writePcap(path, packets)
  const link = createCaptureLink(path)
  const seen = seenOf(link)
  assert.equal(seen.length, 9)
  for (const [at, { bytes }] of seen.entries()) {
    assert.equal(Buffer.compare(bytes, packets[at]?.bytes ?? new Uint8Array(0)), 0)
  }
  link.close()
})

test('a folder is no capture', () => {
  assertCode('NETMEM_CAPTURE_INVALID', () => createCaptureLink('src'))
  assert.throws(() => createCaptureLink('src'), /src is a folder, not a capture\. Name a pcap/)
})

test('a frame that was cut without a word is as long as its packet says', () => {
  const flow = { source: '192.0.2.1', sourcePort: 1, destination: '192.0.2.2', destinationPort: 2 }
  const memory = memoryOf(4096)
  const payload = filler(500, 1)
  const tcp = memory.bytes.slice(0, buildTcpFrame({ ...flow, payload }, memory, 0))
  const udp = memory.bytes.slice(0, buildUdpFrame({ ...flow, payload }, memory, 0))
  const packets = [tcp, tcp.subarray(0, 300), tcp.subarray(0, 54), tcp.subarray(0, 53), udp]
  packets.push(udp.subarray(0, 42), udp.subarray(0, 41))
  const seen = packets.map((bytes) => ({ bytes, timeNs: 0, originalLength: bytes.length }))
  const link = linkOf(encodePcap(seen))
  assert.deepEqual(
    seenOf(link).map(({ bytes, originalLength }) => originalLength - bytes.length),
    [0, 254, 500, 0, 0, 500, 0],
  )
})

test('other link types, versions and files are refused', () => {
  const packets = [{ bytes: filler(60, 1), timeNs: 0 }]
  assert.throws(() => linkOf(encodePcap(packets, { linkType: 113 })), /113, LINUX_SLL/)
  assert.throws(() => linkOf(encodePcap(packets, { linkType: 250 })), /250 is not Ethernet/)
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(encodePcap(packets, { linkType: 0 })))
  const version = encodePcap(packets)
  version[4] = 3
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(version))
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(new Uint8Array(0)))
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0)))
  // The modified format of old kernels, whose records are longer.
  const modified = encodePcap(packets)
  modified[0] = 0x34
  modified[1] = 0xcd
  assertCode('NETMEM_CAPTURE_INVALID', () => linkOf(modified))
  // Bits that tell of frame check sequences are no other link type.
  const fcs = encodePcap(packets)
  fcs[23] = 0x50
  assert.equal(seenOf(linkOf(fcs)).length, 1)
  const source = sourceOf(version)
  assert.throws(() => new CaptureLink(source, true, true, memoryOf(4096)))
  assert.equal(source.closed, 1)
})

test('what is transmitted is forgotten', () => {
  const link = linkOf(encodePcap([{ bytes: filler(60, 1), timeNs: 0 }]))
  const frame = link.receive(0)
  assert.ok(frame !== undefined)
  link.transmit(frame, 0)
  assert.ok(link.ended)
})

test('wrong options, and files that are not there', () => {
  const path = join(folder, 'one.pcap')
  writeFileSync(path, encodePcap([{ bytes: filler(60, 1), timeNs: 0 }]))
  const odd: object = { timing: 'some' }
  assertCode('NETMEM_INVALID_ARGUMENT', () => createCaptureLink(path, odd))
  assert.throws(() => createCaptureLink(join(folder, 'none.pcap')), { code: 'ENOENT' })
})
