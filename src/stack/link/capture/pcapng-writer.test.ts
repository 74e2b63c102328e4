import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../../testing/pools.test.helper.ts'
import { bytesOf, frameOf } from '../frames.test.helper.ts'
import { createGenerator } from '../generator.ts'
import { filler, linkOf, PcapngBuilder, seenOf } from './capture.test.helper.ts'
import { createCaptureLink } from './capture-link.ts'
import { createPcapngWriter, type PcapngOptions, type PcapngWriter } from './pcapng-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'netmem-pcapng-'))
after(() => rmSync(folder, { recursive: true }))

/** The file that `write` makes. */
function written(write: (writer: PcapngWriter) => void, options: PcapngOptions = {}): Uint8Array {
  const path = join(folder, 'written.pcapng')
  const writer = createPcapngWriter(path, options)
  write(writer)
  writer.close()
  return new Uint8Array(readFileSync(path))
}

test('what is written is read again', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          length: fc.nat(3000),
          missing: fc.nat(2000),
          gapNs: fc.nat(2 ** 31),
          queue: fc.option(fc.nat(), { nil: undefined }),
          hash: fc.option(fc.integer(), { nil: undefined }),
        }),
        { maxLength: 30 },
      ),
      (specs) => {
        let timeNs = 0
        const expected: object[] = []
        const file = written((writer) => {
          for (const [at, { length, missing, gapNs, queue, hash }] of specs.entries()) {
            if (at > 0) timeNs += gapNs
            const bytes = filler(length, at)
            const frame = frameOf(bytes, timeNs)
            frame.originalLength += missing
            writer.write(frame, {
              ...(queue === undefined ? {} : { queue }),
              ...(hash === undefined ? {} : { hash }),
            })
            expected.push({
              bytes,
              timeNs,
              originalLength: length + missing,
              checksum: 'complete',
            })
          }
        })
        const link = linkOf(file, { windowBytes: 10_000 })
        assert.deepEqual(seenOf(link), expected)
        assert.ok(!link.truncated)
      },
    ),
    { numRuns: 100 },
  )
})

test('byte by byte: times in ns since 1970, queue and hash as options', () => {
  const startNs = 1_700_000_000_999_999_999n
  const file = written(
    (writer) => {
      writer.write(frameOf(filler(61, 1), 2 ** 40 + 1), { queue: 3, hash: -2 })
      writer.write(frameOf(filler(60, 1), 2 ** 40 + 2))
    },
    { startNs },
  )
  const wanted = new PcapngBuilder().section()
  wanted.block(1, Uint8Array.of(1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0))
  const ticks = startNs + 2n ** 40n + 1n
  // The option's room is a comment's, filled in by hand.
  const packet = new PcapngBuilder().packet(filler(61, 1), ticks, { comment: 'x'.repeat(16) })
  const bytes = packet.bytes()
  const options = [
    3, 0, 5, 0, 5, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 6, 0, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0,
  ]
  bytes.set(options, 28 + 64)
  wanted.raw(bytes).packet(filler(60, 1), ticks + 1n)
  assert.deepEqual(file, wanted.bytes())
})

test('partial checksums are completed in the file, and the frame is left as it is', () => {
  const partial = createGenerator({ checksum: 'partial', totalBytes: 20_000 })
  const complete = createGenerator({ totalBytes: 20_000 })
  const write = (writer: PcapngWriter) => {
    for (let frame = partial.receive(0); frame; frame = partial.receive(0)) {
      const before = bytesOf(frame)
      writer.write(frame)
      assert.deepEqual(bytesOf(frame), before)
    }
  }
  for (const { bytes, checksum } of seenOf(linkOf(written(write), { keepTiming: false }))) {
    const frame = complete.receive(0)
    assert.ok(frame !== undefined)
    assert.equal(checksum, 'complete')
    assert.deepEqual(bytes, bytesOf(frame))
  }
  assert.ok(complete.ended)
})

test('partial checksums are left where payload is absent', () => {
  for (const bytes of [54, 100]) {
    const generator = createGenerator({ checksum: 'partial', totalBytes: 3000 })
    const file = written((writer) => {
      for (let frame = generator.receive(0); frame; frame = generator.receive(0)) {
        frame.length = bytes
        writer.write(frame)
      }
    })
    const seen = seenOf(linkOf(file))
    assert.deepEqual(
      seen.map(({ checksum, originalLength }) => [checksum, originalLength]),
      [
        ['partial', 1502],
        ['partial', 1502],
        ['partial', 158],
      ],
    )
  }
})

test('more than is buffered, and the largest frames', () => {
  const path = join(folder, 'large.pcapng')
  const writer = createPcapngWriter(path)
  for (let at = 0; at < 8; at++) {
    writer.write(frameOf(filler(262_144 + at, at), at), { queue: at, hash: at })
    writer.write(frameOf(filler(1500, at), at))
  }
  writer.close()
  const link = createCaptureLink(path)
  const lengths = seenOf(link).map(({ bytes, originalLength }) => [bytes.length, originalLength])
  for (let at = 0; at < 8; at++) {
    assert.deepEqual(lengths.slice(2 * at, 2 * at + 2), [
      [262_144, 262_144 + at],
      [1500, 1500],
    ])
  }
  link.close()
})

test('what is wrong', () => {
  const path = join(folder, 'wrong.pcapng')
  assertCode('NETMEM_OUT_OF_RANGE', () => createPcapngWriter(path, { startNs: -1n }))
  assert.throws(() => createPcapngWriter(join(folder, 'no', 'such')), { code: 'ENOENT' })
  const writer = createPcapngWriter(path)
  writer.close()
  writer.close()
  assertCode('NETMEM_WRITER_CLOSED', () => writer.write(frameOf(filler(60, 1))))
})
