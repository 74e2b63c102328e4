import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertCode } from '../../testing/pools.test.helper.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../wire/frame-layout.ts'
import { FIN, SYN } from '../../wire/tcp.ts'
import { createGenerator, type GeneratorOptions, type TcpGenerator } from './generator.ts'
import { streamPattern } from './generator-frames.ts'
import type { LinkFrame } from './link.ts'

const layout = new FrameLayout()

function parse(frame: LinkFrame): FrameLayout {
  return parseFrame(frame.memory.bytes, frame.offset, frame.length, layout)
}

/** The sum of pseudo-header and segment, the plain way (RFC 9293, 3.1): 0xffff when the checksum is right. */
function segmentSum(frame: LinkFrame, segment = true): number {
  const { ipOffset, ipVersion, l4Offset } = parse(frame)
  const { bytes } = frame.memory
  const addresses = ipVersion === 4 ? [12, 20] : [8, 40]
  const from = frame.offset + ipOffset
  const l4 = frame.offset + l4Offset
  const l4Bytes = frame.length - l4Offset
  const data = [
    ...bytes.slice(from + (addresses[0] ?? 0), from + (addresses[1] ?? 0)),
    ...[0, 6, l4Bytes >> 8, l4Bytes & 255],
    ...(segment ? bytes.slice(l4, l4 + l4Bytes) : []),
  ]
  let sum = 0
  for (const [at, byte] of data.entries()) sum += at % 2 === 0 ? byte << 8 : byte
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65_536)
  return sum
}

/** Takes all frames, or `limit`, checks each, and assembles the streams. Returns the flow of each, and all payload bytes. */
function collect(
  generator: TcpGenerator,
  options: GeneratorOptions,
  limit: number,
): { readonly order: number[]; readonly payloadBytes: number } {
  const periodBytes = (options.framesPerFlow ?? 64) * (options.mssBytes ?? 1448)
  const expected: (number | undefined)[] = []
  const streams: number[] = []
  const patterns: Uint8Array[] = []
  const order: number[] = []
  for (let taken = 0; taken < limit; taken++) {
    const frame = generator.receive(taken)
    if (frame === undefined) break
    assert.equal(frame.timeNs, taken)
    const { kind, sourcePort, destinationPort, headerLength, payloadLength, seq, tcpFlags } =
      parse(frame)
    assert.equal(kind, FrameKind.tcp)
    assert.equal(destinationPort, 5001)
    assert.equal(headerLength + payloadLength, frame.length)
    const flow = sourcePort - 40_000
    order.push(flow)
    if (options.checksum === 'partial') {
      const field = frame.offset + layout.l4Offset + 16
      const { bytes } = frame.memory
      assert.equal(((bytes[field] ?? 0) << 8) | (bytes[field + 1] ?? 0), segmentSum(frame, false))
      assert.equal(frame.checksum, 'partial')
    } else {
      assert.equal(segmentSum(frame), 0xffff)
      assert.equal(frame.checksum, 'complete')
    }
    if (layout.ipVersion === 4) assert.equal(frame.memory.sum(frame.offset + 14, 20), 0xffff)
    assert.equal(seq, expected[flow] ?? seq, `flow ${flow} continues without a gap`)
    const syn = (tcpFlags & SYN) / SYN
    expected[flow] = (seq + payloadLength + syn + (tcpFlags & FIN)) % 2 ** 32
    patterns[flow] ??= streamPattern(options.seed ?? 1, flow, periodBytes)
    const begin = frame.offset + headerLength
    const at = streams[flow] ?? 0
    const wanted = patterns[flow]?.subarray(at % periodBytes)
    assert.deepEqual(
      frame.memory.bytes.subarray(begin, begin + payloadLength),
      wanted?.subarray(0, payloadLength),
    )
    streams[flow] = at + payloadLength
  }
  return { order, payloadBytes: streams.reduce((sum, bytes) => sum + bytes, 0) }
}

const kinds: GeneratorOptions[] = [
  { mssBytes: 1448 },
  { mssBytes: 8948, flows: 3, framesPerFlow: 5 },
  { mssBytes: 33, flows: 2, ipVersion: 6, framesPerFlow: 7, seed: 9 },
  { mssBytes: 1448, checksum: 'partial' },
  { mssBytes: 65_000, checksum: 'partial', ipVersion: 6, framesPerFlow: 2 },
  { mssBytes: 1, flows: 5, handshake: true },
]
for (const options of kinds) {
  test(`endless: ${JSON.stringify(options)}`, () => {
    const generator = createGenerator(options)
    assert.equal(collect(generator, options, 300).order.length, 300)
    assert.ok(!generator.ended)
    assert.ok(generator.nextAtNs() <= 0)
  })

  test(`bounded: ${JSON.stringify(options)}`, () => {
    for (const totalBytes of [1, 1447, options.mssBytes === 1 ? 2000 : 100_000]) {
      const bounded = { ...options, totalBytes }
      const generator = createGenerator(bounded)
      const { payloadBytes } = collect(generator, bounded, Number.POSITIVE_INFINITY)
      assert.equal(payloadBytes, totalBytes * (options.flows ?? 1))
      assert.ok(generator.ended)
      assert.equal(generator.nextAtNs(), Number.POSITIVE_INFINITY)
      assert.equal(generator.receive(1e15), undefined)
    }
  })
}

test('flows take turns, a burst of each', () => {
  const options = { flows: 3 }
  const { order } = collect(createGenerator(options), options, 4 * 16)
  assert.deepEqual(
    order,
    [0, 1, 2, 0].flatMap((flow) => Array<number>(16).fill(flow)),
  )
})

test('a flow begins with a SYN and ends with a FIN', () => {
  const generator = createGenerator({ handshake: true, totalBytes: 3000 })
  const flags: number[] = []
  const lengths: number[] = []
  for (let frame = generator.receive(0); frame; frame = generator.receive(0)) {
    flags.push(parse(frame).tcpFlags)
    lengths.push(layout.payloadLength)
  }
  assert.deepEqual(flags, [2, 16, 16, 16, 17])
  assert.deepEqual(lengths, [0, 1448, 1448, 104, 0])
})

test('sequence numbers wrap around', () => {
  // 17 GB in frames of 65,000 would take long: the seed is one whose numbers begin near the end.
  let seed = 0
  const first = () => new DataView(streamPattern(seed, 0, 4).buffer).getUint32(0)
  while (first() < 2 ** 32 - 1e6) seed++
  const options = { seed, mssBytes: 65_000, framesPerFlow: 3 }
  collect(createGenerator(options), options, 40)
})

test('at a rate frames arrive one after the other, whenever they are asked for', () => {
  const generator = createGenerator({ mssBytes: 1446, rateBitsPerS: 12e9 })
  const times: number[] = []
  for (let nowNs = 0; nowNs < 10_000; nowNs += 700) {
    for (let frame = generator.receive(nowNs); frame; frame = generator.receive(nowNs)) {
      times.push(frame.timeNs)
    }
    assert.ok(generator.nextAtNs() > nowNs)
  }
  // 1500 bytes at 12 Gbit/s.
  assert.deepEqual(
    times,
    times.map((_, at) => at * 1000),
  )
  assert.equal(times.length, 10)
})

test('frames lie in the same places and make no garbage', () => {
  const generator = createGenerator({ flows: 2, framesPerFlow: 8 })
  const places = new Set<number>()
  const run = (frames: number): number => {
    let mixed = 0
    for (let taken = 0; taken < frames; taken++) {
      mixed = (mixed + (generator.receive(0)?.offset ?? 0)) | 0
    }
    return mixed
  }
  for (let taken = 0; taken < 64; taken++) places.add(generator.receive(0)?.offset ?? -1)
  assert.equal(places.size, 16)
  const measured = 20_000
  let bytes = Number.POSITIVE_INFINITY
  // Code that is not compiled yet makes garbage of its own, so the best of several counts is taken.
  for (let counts = 0; counts < 30 && bytes >= 4; counts++) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    run(measured)
    bytes = Math.min(bytes, (process.memoryUsage().heapUsed - before) / measured)
  }
  assert.ok(bytes < 4, `${bytes} bytes for each frame`)
})

test('what is transmitted is forgotten; a close ends it', () => {
  const generator = createGenerator()
  const frame = generator.receive(0)
  assert.ok(frame !== undefined)
  generator.transmit(frame, 0)
  generator.close()
  assert.ok(generator.ended)
  assert.equal(generator.receive(0), undefined)
})

test('wrong options', () => {
  assertCode('NETMEM_OUT_OF_RANGE', () => createGenerator({ mssBytes: 0 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => createGenerator({ totalBytes: 0 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => createGenerator({ flows: 3, sourcePort: 65_534 }))
  const odd: object = { checksum: 'none' }
  assertCode('NETMEM_INVALID_ARGUMENT', () => createGenerator(odd))
  const old: object = { ipVersion: 5 }
  assertCode('NETMEM_INVALID_ARGUMENT', () => createGenerator(old))
})
