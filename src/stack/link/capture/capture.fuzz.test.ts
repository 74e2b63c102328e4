// Random and damaged files: no crash but with a code, nothing handed out that is not in
// the file, no more memory than the window.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNetmemError } from '../../../errors.ts'
import { Random } from '../../../random.ts'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { filler, memoryOf, PcapngBuilder, sourceOf } from './capture.test.helper.ts'
import { CaptureLink } from './capture-link.ts'
import { encodePcap } from './pcap-writer.test.helper.ts'

const WINDOW = 4096

/** Reads a file to its end, or to its fault. Returns its number of frames. */
function read(file: Uint8Array): number {
  const source = sourceOf(file, 700)
  let frames = 0
  try {
    const link = new CaptureLink(source, true, true, memoryOf(WINDOW))
    try {
      for (const _ of framesOf(link, file)) frames++
    } finally {
      link.close()
    }
  } catch (error) {
    assert.ok(isNetmemError(error) && error.code === 'NETMEM_CAPTURE_INVALID', `${error}`)
  }
  assert.equal(source.closed, 1)
  return frames
}

/** Reads the frames of a link one by one, and checks each. */
function* framesOf(link: CaptureLink, file: Uint8Array): Generator<void> {
  const place = Buffer.from(file.buffer, file.byteOffset, file.length)
  let lastNs = 0
  let bytes = 0
  for (;;) {
    const frame = link.receive(Number.POSITIVE_INFINITY)
    if (frame === undefined) break
    const { offset, length, originalLength, timeNs, memory } = frame
    assert.ok(offset >= 0 && length >= 0 && offset + length <= WINDOW)
    assert.equal(memory.bytes.length, WINDOW)
    assert.ok(originalLength >= length)
    assert.ok(timeNs >= lastNs && Number.isFinite(timeNs), `${timeNs} after ${lastNs}`)
    lastNs = timeNs
    const copy = memory.bytes.slice(offset, offset + length)
    assert.ok(place.indexOf(copy) >= 0, 'what is handed out is in the file')
    link.nextAtNs()
    assert.equal(Buffer.compare(copy, memory.bytes.slice(offset, offset + length)), 0)
    bytes += length
    yield
  }
  assert.ok(link.ended)
  assert.ok(bytes <= file.length)
}

const pcap = encodePcap(
  [60, 1500, 0, 333].map((length, at) => ({ bytes: filler(length, at), timeNs: at * 1e9 })),
)
const pcapng = new PcapngBuilder(false)
  .section(false, 8)
  .interface({ tsresol: 9, tsoffset: 5n })
  .packet(filler(99, 1), 1n << 33n, { comment: 'here' })
  .block(0xbad, filler(300, 1))
  .simple(filler(60, 2))
  .section(true)
  .interface({ tsresol: 0x8a })
  .packet(filler(1000, 3), 1n << 40n, { type: 2 })
  .bytes()
const files = [
  pcap,
  pcapng,
  new Uint8Array(readFileSync(join('src/stack/link/capture/fixtures', 'tcp-ipv6.pcapng'))).slice(
    0,
    6000,
  ),
]

test('the files themselves', () => {
  assert.deepEqual(files.map(read), [4, 3, 9])
})

test('random bytes, with and without the beginning of a file', () => {
  const magics = [[], [...pcap.subarray(0, 24)], [...pcapng.subarray(0, 36)]]
  fc.assert(
    fc.property(fc.constantFrom(...magics), fc.uint8Array({ maxLength: 3000 }), (magic, bytes) => {
      read(Uint8Array.of(...magic, ...bytes))
    }),
    { numRuns: 300 },
  )
})

test('cut at each byte', () => {
  for (const file of files) {
    let last = 0
    for (let bytes = 0; bytes < file.length; bytes++) {
      const frames = read(file.subarray(0, bytes))
      assert.ok(frames >= last)
      last = frames
    }
  }
})

test('each byte changed, and thousands of several', () => {
  const random = new Random(7)
  for (const file of files) {
    for (let at = 0; at < Math.min(file.length, 700); at++) {
      for (const value of [0, 0xff, (file[at] ?? 0) ^ (1 << random.below(8))]) {
        const changed = file.slice()
        changed[at] = value
        read(changed)
      }
    }
    for (let run = 0; run < 1000; run++) {
      const changed = file.slice(0, Math.min(file.length, 2500))
      for (let left = 1 + random.below(6); left > 0; left--) {
        // Lengths and types are among whole words, small and large.
        const at = random.below(changed.length >> 2) << 2
        changed.set(
          filler(1 + random.below(4), random.below(256)),
          Math.min(at, changed.length - 4),
        )
        if (random.below(3) === 0) changed.copyWithin(at, random.below(changed.length))
      }
      read(changed)
    }
  }
})
