// Whole replays. Each ends with its pools destroyed and its device memory freed, which nothing does
// while anything is out.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { sha256 } from '../../testing/sha256.test.helper.ts'
import { FIN, SYN } from '../../wire/tcp.ts'
import { DeviceError } from '../device-error.ts'
import { encodePcap, type PcapPacket, writePcap } from '../link/capture/pcap-writer.test.helper.ts'
import {
  fixture,
  fixtures,
  flowOf,
  packetsOf,
  payloadOf,
  segment,
  temporaryFolder,
} from './captures.test.helper.ts'
import { type ReplayOptions, replay } from './replay.ts'

const PSH_ACK = 0x18

const file = temporaryFolder()

function capture(name: string, packets: readonly PcapPacket[]): string {
  const path = file(name)
  writePcap(path, packets)
  return path
}

const ways: ReplayOptions[] = [
  { memory: 'page', headerSplit: true },
  { memory: 'page', headerSplit: false },
  { memory: 'device', headerSplit: true },
]
const memories = ['page', 'device'] as const

for (const [at, { file: name, streams, frames, others }] of fixtures.entries()) {
  for (const [turn, way] of ways.entries()) {
    // Every way meets one queue and four, and so does every capture.
    const queues = (at + turn) % 2 === 0 ? 1 : 4
    test(`${name}: ${JSON.stringify({ ...way, queues })}`, async () => {
      const report = await replay(fixture(name), { ...way, queues })
      for (const stream of streams) {
        const flow = flowOf(report, stream)
        assert.ok(flow !== undefined)
        assert.deepEqual([flow.bytes, flow.sha256], [stream.bytes, stream.sha256])
        assert.deepEqual([flow.state, flow.gaps], ['finished', 0])
        const { headerPages, pages, netIovs } = flow.landed
        assert.equal(headerPages > 0, way.headerSplit)
        assert.equal(pages >= stream.bytes, way.memory === 'page')
        assert.equal(netIovs >= stream.bytes, way.memory === 'device')
        assert.equal(pages === 0 || netIovs === 0, true)
      }
      const { capture, dropped, complete, nic } = report
      assert.deepEqual([capture.frames, complete, nic.rx_csum_bad], [frames, true, 0])
      const { other_packets, rx_dropped_unsplit, ...rest } = dropped
      assert.deepEqual(
        [other_packets, rx_dropped_unsplit],
        way.memory === 'page' ? [others, 0] : [0, others],
      )
      assert.ok(Object.values(rest).every((packets) => packets === 0))
    })
  }
}

for (const memory of memories) {
  test(`doubled and reordered frames change nothing, ${memory}`, async () => {
    for (const { file: name, streams } of fixtures) {
      const faults = { seed: 5, duplication: 0.3, reordering: 0.3 }
      const report = await replay(fixture(name), { memory, queues: 2, faults })
      let known = 0
      for (const stream of streams) {
        const flow = flowOf(report, stream)
        assert.equal(flow?.sha256, stream.sha256, name)
        known += (flow?.duplicateBytes ?? 0) + (flow?.outOfOrder ?? 0)
      }
      assert.ok(known > 0)
    }
  })

  test(`what is lost is missing, and no more, ${memory}`, async () => {
    const faults = { seed: 3, loss: 0.1 }
    const report = await replay(fixture('tcp-ipv6.pcapng'), { memory, faults })
    const flow = flowOf(report, { to: 5002 })
    assert.ok(flow !== undefined && flow.gaps > 0)
    assert.equal(flow.bytes + flow.gapBytes, 36_000)
  })

  test(`frames that a capture has cut leave gaps, ${memory}`, async () => {
    const packets = packetsOf(fixture('tcp-ipv6.pcapng'), 500)
    const report = await replay(capture(`cut-${memory}`, packets), { memory })
    const flow = flowOf(report, { to: 5002 })
    assert.ok(flow !== undefined)
    assert.equal(flow.bytes + flow.cutBytes, 36_000)
    assert.equal(flow.cutPackets > 0 && flow.gapBytes === flow.cutBytes, true)
    assert.equal(report.capture.cutFrames, report.cutPackets)
    assert.equal(report.dropped.malformed, 0)
  })

  test(`more waits for missing segments than there is memory, ${memory}`, async () => {
    // Every second segment is missing, and each that is there has a buffer of its own.
    const packets = [segment({ flags: SYN, seq: 0 })]
    const there: Uint8Array[] = []
    for (let at = 1; at < 5000; at += 2) {
      const payload = payloadOf(at, 100)
      there.push(payload)
      packets.push(segment({ seq: 1 + 100 * at, flags: PSH_ACK, payload }))
    }
    const report = await replay(capture(`holes-${memory}`, packets), { memory, queues: 4 })
    const [flow] = report.flows
    assert.equal(flow?.sha256, sha256(...there))
    assert.deepEqual([flow.bytes, flow.gaps, flow.gapBytes], [250_000, 2500, 250_000])
    assert.equal(report.dropped.rx_hw_drop_overruns, 0)
  })

  test(`more flows than there are buffers, ${memory}`, async () => {
    const packets: PcapPacket[] = []
    for (const at of [0, 1]) {
      for (let flow = 0; flow < 3000; flow++) {
        const payload = payloadOf(flow + at, 10)
        packets.push(segment({ sourcePort: 10_000 + flow, seq: 10 * at, payload }))
      }
    }
    const report = await replay(capture(`flows-${memory}`, packets), { memory })
    assert.equal(report.flows.length, 3000)
    for (const [flow, { sourcePort, sha256: found }] of report.flows.entries()) {
      assert.equal(sourcePort, 10_000 + flow)
      assert.equal(found, sha256(payloadOf(flow, 10), payloadOf(flow + 1, 10)))
    }
  })

  test(`segments of 200 KiB, over as many queues as there can be, ${memory}`, async () => {
    const packets: PcapPacket[] = []
    for (let flow = 0; flow < 20; flow++) {
      const payload = payloadOf(flow, 200 * 1024)
      packets.push(
        segment({ source: 'fd00::1', destination: 'fd00::2', sourcePort: flow, payload }),
      )
    }
    const report = await replay(capture(`big-${memory}`, packets), { memory, queues: 64 })
    const found = report.flows.map(({ sourcePort, sha256: hash }) => [sourcePort, hash])
    found.sort(([a], [b]) => Number(a) - Number(b))
    const expected = report.flows.map((_, flow) => [flow, sha256(payloadOf(flow, 200 * 1024))])
    assert.deepEqual(found, expected)
    assert.equal(found.length, 20)
  })

  test(`a later connection between the same ports is a flow of its own, ${memory}`, async () => {
    const packets: PcapPacket[] = []
    for (const seq of [1000, 900_000]) {
      packets.push(segment({ seq, flags: SYN }))
      packets.push(segment({ seq: seq + 1, payload: payloadOf(seq, 300) }))
      packets.push(segment({ seq: seq + 301, flags: FIN | PSH_ACK, payload: payloadOf(1, 20) }))
    }
    const { flows } = await replay(capture(`anew-${memory}`, packets), { memory })
    assert.deepEqual(
      flows.map(({ bytes, state, sha256: found }) => ({ bytes, state, found })),
      [1000, 900_000].map((seq) => ({
        bytes: 320,
        state: 'finished',
        found: sha256(payloadOf(seq, 300), payloadOf(1, 20)),
      })),
    )
  })

  test(`a SYN and first data that were overtaken lose nothing, ${memory}`, async () => {
    const packets = [
      segment({ seq: 301, flags: FIN | PSH_ACK, payload: payloadOf(2, 50) }),
      segment({ seq: 1, payload: payloadOf(1, 300) }),
      segment({ seq: 0, flags: SYN }),
    ]
    // A flow that began before the capture does not wait for its SYN until the end: buffers would run out.
    const later = Array.from({ length: 600 }, (_, at) =>
      segment({ sourcePort: 7, seq: 100 * at, payload: payloadOf(at, 100) }),
    )
    const { flows } = await replay(capture(`late-${memory}`, [...packets, ...later]), { memory })
    assert.deepEqual(
      flows.map(({ bytes, gaps, duplicateBytes }) => [bytes, gaps, duplicateBytes]),
      [
        [350, 0, 0],
        [60_000, 0, 0],
      ],
    )
    assert.equal(flows[0]?.sha256, sha256(payloadOf(1, 300), payloadOf(2, 50)))
    assert.equal(flows[0]?.state, 'finished')
  })

  test(`a signal ends it early, with what came until then, ${memory}`, async () => {
    // Much more than the rings hold.
    const payload = payloadOf(0, 9000)
    const packets = Array.from({ length: 2500 }, (_, at) => segment({ seq: 9000 * at, payload }))
    const path = capture(`long-${memory}`, packets)
    const abort = new AbortController()
    const report = await replay(path, {
      memory,
      signal: abort.signal,
      onProgress: () => abort.abort(),
    })
    assert.equal(report.complete, false)
    const [flow] = report.flows
    assert.ok(flow !== undefined && flow.bytes > 0 && flow.gaps === 0)
    const came = new Array<Uint8Array>(flow.bytes / 9000).fill(payload)
    assert.equal(flow.sha256, sha256(...came))
  })

  test(`a capture that ends within a frame ends there, ${memory}`, async () => {
    const whole = readFileSync(fixture('tcp-ipv6.pcapng'))
    const path = file(`truncated-${memory}`)
    writeFileSync(path, whole.subarray(0, 20_000))
    const report = await replay(path, { memory })
    const flow = flowOf(report, { to: 5002 })
    assert.ok(flow !== undefined && flow.bytes > 0 && flow.bytes < 36_000)
    assert.deepEqual([report.complete, flow.state], [true, 'open'])
    assert.equal(report.capture.truncated, true)
    // Faults on the way from the file do not hide it, and what ends between two records is whole.
    assert.equal(
      (await replay(path, { memory, faults: { seed: 1, loss: 0.5 } })).capture.truncated,
      true,
    )
    assert.equal((await replay(fixture('tcp-ipv6.pcapng'), { memory })).capture.truncated, false)
  })

  test(`a capture that contradicts itself in the middle fails the replay, ${memory}`, async () => {
    const bytes = encodePcap([segment({ seq: 0, payload: payloadOf(0, 50) }), segment({})])
    const path = file(`broken-${memory}`)
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(64, 0xff)]))
    await assert.rejects(replay(path, { memory, out: file(`broken-${memory}.pcapng`) }), {
      code: 'NETMEM_CAPTURE_INVALID',
    })
  })
}

test('what is no capture, or not there, is refused', async () => {
  const path = file('text')
  writeFileSync(path, 'no capture at all')
  await assert.rejects(replay(path), { code: 'NETMEM_CAPTURE_INVALID' })
  await assert.rejects(replay(file('nothing')), { code: 'ENOENT' })
  await assert.rejects(replay(fixture('tcp-sack.pcap'), { out: file('no/such') }), {
    code: 'ENOENT',
  })
})

test('options that make no sense are refused', async () => {
  const path = fixture('tcp-sack.pcap')
  await assert.rejects(
    replay(path, { memory: 'device', headerSplit: false }),
    (error) => error instanceof DeviceError && error.code === 'NETMEM_BIND_HEADER_SPLIT',
  )
  await assert.rejects(replay(path, { queues: 0 }), { code: 'NETMEM_OUT_OF_RANGE' })
  await assert.rejects(replay(path, { queues: 65 }), { code: 'NETMEM_OUT_OF_RANGE' })
  const copy = file('copy')
  writeFileSync(copy, readFileSync(path))
  await assert.rejects(replay(copy, { out: copy }), { code: 'NETMEM_INVALID_ARGUMENT' })
  assert.equal(Buffer.compare(readFileSync(copy), readFileSync(path)), 0)
})

test('checksums are verified unless an option turns it off', async () => {
  const { nic } = await replay(fixture('tcp-sack.pcap'), { verifyChecksums: false })
  assert.deepEqual([nic.rx_csum_unnecessary, nic.rx_csum_none], [0, 58])
  // A fault in a frame is noticed.
  const faults = { seed: 1, corruption: 0.2 }
  assert.ok((await replay(fixture('tcp-sack.pcap'), { faults })).nic.rx_csum_bad > 0)
})
