// Captures in which checksums are wrong: of damaged segments, and of hosts that leave them to hardware.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../../testing/sha256.test.helper.ts'
import { buildUdpFrame } from '../../wire/build-frame.test.helper.ts'
import { createFrameMemory } from '../../wire/frame-memory.ts'
import { ACK, FIN, RST, SYN } from '../../wire/tcp.ts'
import { type PcapPacket, writePcap } from '../link/capture/pcap-writer.test.helper.ts'
import { flowOf, payloadOf, segment, temporaryFolder } from './captures.test.helper.ts'
import { type ReplayOptions, replay } from './replay.ts'
import type { FlowReport } from './replay-flow.ts'
import type { ReplayReport } from './replay-report.ts'

const TCP_CHECKSUM = 50
const memories = ['page', 'device'] as const
const file = temporaryFolder()
let files = 0

function damaged(packet: PcapPacket, field = TCP_CHECKSUM): PcapPacket {
  const bytes = packet.bytes.slice()
  bytes[field] = (bytes[field] ?? 0) ^ 0x55
  return { ...packet, bytes }
}

/** Returns a packet as a host writes it that leaves the whole checksum to hardware. */
function unfinished(packet: PcapPacket, value: number): PcapPacket {
  const bytes = packet.bytes.slice()
  new DataView(bytes.buffer).setUint16(TCP_CHECKSUM, value)
  return { ...packet, bytes }
}

function run(packets: readonly PcapPacket[], options: ReplayOptions): Promise<ReplayReport> {
  const path = file(`${files++}.pcap`)
  writePcap(path, packets)
  return replay(path, options)
}

function stream(report: ReplayReport): FlowReport {
  return flowOf(report, { to: 5201 }) ?? assert.fail()
}

const good = payloadOf(1, 100)
const evil = payloadOf(7, 100)
const more = payloadOf(101, 100)
const whole = sha256(good, more)
const begin = segment({ seq: 0, flags: SYN })
const ends = [
  segment({ seq: 101, payload: more, flags: ACK }),
  segment({ seq: 201, flags: FIN | ACK }),
]

const orders: readonly (readonly [string, readonly PcapPacket[]])[] = [
  [
    'data',
    [begin, damaged(segment({ seq: 1, payload: evil })), segment({ seq: 1, payload: good })],
  ],
  ['RST', [begin, segment({ seq: 1, payload: good }), damaged(segment({ seq: 101, flags: RST }))]],
  ['FIN', [begin, segment({ seq: 1, payload: good }), damaged(segment({ seq: 101, flags: FIN }))]],
  ['SYN', [begin, segment({ seq: 1, payload: good }), damaged(segment({ seq: 9e5, flags: SYN }))]],
  [
    'first SYN',
    [damaged(segment({ seq: 77, flags: SYN })), begin, segment({ seq: 1, payload: good })],
  ],
  // The table knows nothing of the sender yet.
  [
    'first data',
    [damaged(segment({ seq: 1, payload: evil })), begin, segment({ seq: 1, payload: good })],
  ],
  // The IP header's.
  [
    'header',
    [begin, damaged(segment({ seq: 1, payload: evil }), 24), segment({ seq: 1, payload: good })],
  ],
]

for (const memory of memories) {
  for (const [name, packets] of orders) {
    test(`a wrong checksum moves nothing: ${name}, ${memory}`, async () => {
      const report = await run([...packets, ...ends], { memory })
      const { bytes, sha256: found, state, gaps, duplicateBytes } = stream(report)
      assert.deepEqual([bytes, found, state, gaps, duplicateBytes], [200, whole, 'finished', 0, 0])
      assert.equal(report.flows.length, 1)
      assert.equal(report.dropped.csum_bad, 1)
      assert.deepEqual([report.nic.rx_csum_bad, report.uncheckedPackets], [1, 0])
    })
  }

  test(`many wrong copies win nothing, ${memory}`, async () => {
    const wrong = Array.from({ length: 50 }, () => damaged(segment({ seq: 1, payload: evil })))
    const report = await run([begin, ...wrong, segment({ seq: 1, payload: good }), ...ends], {
      memory,
    })
    assert.deepEqual([stream(report).sha256, report.dropped.csum_bad], [whole, 50])
  })

  test(`a host that leaves checksums to hardware loses nothing, ${memory}`, async () => {
    const all = [begin, segment({ seq: 1, payload: good }), ...ends]
    // Partial ones, which say what they are, and what some hosts leave there: nothing, or anything.
    const partial = [
      segment({ seq: 0, flags: SYN, checksum: 'partial' }),
      segment({ seq: 1, payload: good, checksum: 'partial' }),
      ...ends,
    ]
    const zero = all.map((packet) => unfinished(packet, 0))
    const odd = all.map((packet, at) => unfinished(packet, 0x1234 + at))
    for (const [packets, unchecked] of [
      [partial, 0],
      [zero, 4],
      [odd, 4],
    ] as const) {
      const report = await run(packets, { memory })
      const { sha256: found, state } = stream(report)
      assert.deepEqual([found, state, report.dropped.csum_bad], [whole, 'finished', 0])
      assert.equal(report.uncheckedPackets, unchecked)
    }
    // More than wait for a right one. Other hosts are judged by what they do themselves.
    const payload = payloadOf(3, 100)
    const long = Array.from({ length: 40 }, (_, at) => segment({ seq: 1 + 100 * at, payload }))
    const other = segment({ source: '192.0.2.9', destinationPort: 9, seq: 1, payload: good })
    const report = await run(
      [...[begin, ...long].map((packet) => unfinished(packet, 0)), other, damaged(other)],
      { memory },
    )
    assert.deepEqual([stream(report).bytes, stream(report).gaps], [4000, 0])
    assert.equal(stream(report).sha256, sha256(...long.map(() => payload)))
    assert.deepEqual([report.uncheckedPackets, report.dropped.csum_bad], [41, 1])
  })

  test(`what is longer than frames are has been merged, and its checksum says nothing, ${memory}`, async () => {
    const payload = payloadOf(1, 2920)
    const merged = [
      begin,
      segment({ seq: 1, payload: good }),
      damaged(segment({ seq: 101, payload })),
      segment({ seq: 3021, flags: FIN }),
    ]
    const report = await run(merged, { memory })
    assert.deepEqual([stream(report).bytes, stream(report).state], [3020, 'finished'])
    // Unless its sender's long frames have right checksums.
    const jumbo = segment({ seq: 101, payload })
    const judged = await run(
      [
        begin,
        segment({ seq: 3021, payload }),
        damaged(jumbo),
        segment({ seq: 1, payload: good }),
        jumbo,
      ],
      { memory },
    )
    assert.equal(stream(judged).sha256, sha256(good, payload, payload))
    assert.equal(judged.dropped.csum_bad, 1)
  })

  test(`many senders of one wrong segment each are held in bounds, ${memory}`, async () => {
    const packets = Array.from({ length: 300 }, (_, at) =>
      damaged(segment({ source: `10.0.${at >> 8}.${at & 255}`, seq: 1, payload: good })),
    )
    const report = await run([begin, ...packets, segment({ seq: 1, payload: good }), ...ends], {
      memory,
      queues: 8,
    })
    const honest = report.flows.find(({ source }) => source === '192.0.2.1')
    assert.deepEqual([honest?.sha256, honest?.state], [whole, 'finished'])
    assert.deepEqual([report.uncheckedPackets, report.dropped.csum_bad], [300, 0])
    assert.equal(report.flows.length, 301)
  })

  test(`datagrams with a wrong checksum are dropped, those without one are not, ${memory}`, async () => {
    const frames = createFrameMemory(4096)
    for (const [source, destination, field] of [
      ['192.0.2.1', '192.0.2.2', 40],
      ['2001:db8::1', '2001:db8::2', 60],
    ] as const) {
      const ports = { sourcePort: 1, destinationPort: 5201 }
      const length = buildUdpFrame({ source, destination, ...ports, payload: good }, frames, 0)
      const right = { bytes: frames.bytes.slice(0, length), timeNs: 0 }
      const none = { ...right, bytes: right.bytes.slice() }
      none.bytes.fill(0, field, field + 2)
      const report = await run([right, damaged(right, field), none], { memory })
      assert.deepEqual([stream(report).bytes, report.dropped.csum_bad], [200, 1])
    }
  })
}

test('nothing is judged where nothing is verified', async () => {
  const wrong = damaged(segment({ seq: 1, payload: evil }))
  const report = await run([begin, wrong, segment({ seq: 1, payload: good })], {
    verifyChecksums: false,
  })
  assert.equal(stream(report).sha256, sha256(evil))
})
