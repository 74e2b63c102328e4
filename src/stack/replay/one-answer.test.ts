// One file, one answer: pages and device memory give the same streams of captures that are odd.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { SYN } from '../../wire/tcp.ts'
import { PcapngBuilder } from '../link/capture/capture.test.helper.ts'
import { type PcapPacket, writePcap } from '../link/capture/pcap-writer.test.helper.ts'
import { payloadOf, segment, temporaryFolder } from './captures.test.helper.ts'
import { replay } from './replay.ts'
import type { ReplayReport } from './replay-report.ts'

const file = temporaryFolder()

async function both(path: string): Promise<ReplayReport> {
  const [page, device] = [
    await replay(path, { memory: 'page' }),
    await replay(path, { memory: 'device' }),
  ]
  const streams = ({ flows, capture, uncheckedPackets, cutPackets }: ReplayReport): unknown => ({
    flows: flows.map(({ landed, packets, ...flow }) => flow),
    capture,
    uncheckedPackets,
    cutPackets,
  })
  assert.deepEqual(streams(page), streams(device))
  return page
}

test('frames that are shorter than their packets, without a word in the capture', async () => {
  const packets: PcapPacket[] = [segment({ seq: 0, flags: SYN })]
  for (let at = 0; at < 10; at++) {
    const { bytes } = segment({ seq: 1 + 100 * at, payload: payloadOf(at, 100) })
    // Down to the headers alone.
    const kept = at % 2 === 0 ? bytes : bytes.subarray(0, bytes.length - 10 * at - 10)
    packets.push({ bytes: kept, timeNs: 0, originalLength: kept.length })
  }
  const path = file('cut.pcap')
  writePcap(path, packets)
  const { flows, capture, cutPackets } = await both(path)
  const cutBytes = [1, 3, 5, 7, 9].reduce((sum, at) => sum + 10 * at + 10, 0)
  assert.equal(flows.length, 1)
  assert.deepEqual([flows[0]?.bytes, flows[0]?.gapBytes], [1000 - cutBytes, cutBytes - 100])
  assert.deepEqual([flows[0]?.cutPackets, flows[0]?.cutBytes], [5, cutBytes])
  assert.deepEqual([capture.cutFrames, cutPackets], [5, 5])
})

test('a SYN that comes after many small segments of others', async () => {
  // The NIC merges more of them in a longer buffer, and they count as what they are.
  const payload = payloadOf(0, 1400)
  for (const others of [100, 126, 127, 140]) {
    const packets = [
      segment({ sourcePort: 7, seq: 101, payload: payloadOf(2, 100) }),
      ...Array.from({ length: others }, (_, at) => segment({ seq: 1 + 1400 * at, payload })),
      segment({ sourcePort: 7, seq: 0, flags: SYN }),
      segment({ sourcePort: 7, seq: 1, payload: payloadOf(1, 100) }),
    ]
    const path = file(`${others}.pcap`)
    writePcap(path, packets)
    const { flows } = await both(path)
    assert.equal(flows[0]?.bytes, others < 127 ? 200 : 100)
  }
})

test('interfaces of other link types are counted and skipped', async () => {
  const capture = new PcapngBuilder().section().interface({ linkType: 113 }).interface()
  for (let at = 0; at < 5; at++) {
    capture.packet(new Uint8Array(60), 0n)
    capture.packet(segment({ seq: 100 * at, payload: payloadOf(at, 100) }).bytes, 0n, { id: 1 })
  }
  const path = file('mixed.pcapng')
  writeFileSync(path, capture.bytes())
  const report = await both(path)
  assert.equal(report.flows[0]?.bytes, 500)
  assert.deepEqual([report.capture.frames, report.capture.otherLinkPackets], [5, 5])
})
