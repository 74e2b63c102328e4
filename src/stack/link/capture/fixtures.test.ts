// The real captures: each way of reading them finds the packets that were sent.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { SYN } from '../../../wire/tcp.ts'
import type { LinkFrame } from '../link.ts'
import { type CaptureOptions, createCaptureLink } from './capture-link.ts'

const folder = join('src', 'stack', 'link', 'capture', 'fixtures')

/** SHA-256 and length of the streams that fixtures/README.md lists, by the ports they go between. */
const streams: { file: string; to: number; from: number; bytes: number; sha256: string }[] = [
  {
    file: 'tcp-offload.pcap',
    to: 5001,
    from: 0,
    bytes: 40_000,
    sha256: '3b10a42f23d3e47f2812109d2d55b1e1ac2dd133f0cd2baffeba278ed8a19d64',
  },
  {
    file: 'tcp-offload.pcap',
    to: 0,
    from: 5001,
    bytes: 3000,
    sha256: 'd3e8e296641bcf03d5d8ce04e4369b2907ef3ceae0dae633e1ec659cdd3f6f12',
  },
  {
    file: 'tcp-ipv6.pcapng',
    to: 5002,
    from: 0,
    bytes: 36_000,
    sha256: '4aba2175934452c7cd653c00614a85b0100026dfe95fdbe1788f53f1a9afad1a',
  },
  {
    file: 'tcp-ipv6.pcapng',
    to: 0,
    from: 5002,
    bytes: 2000,
    sha256: 'a533cdc2a48057e9d29112f22fe555cc0a613d6a7781781d5aa243bfd5787df4',
  },
  {
    file: 'tcp-sack.pcap',
    to: 5003,
    from: 0,
    bytes: 40_000,
    sha256: 'c5285ab391cc8c24dfc02f302d030e6ddd40b15ed42b9de6aea6f5f86a16237b',
  },
  {
    file: 'vlan-fragments.pcap',
    to: 5004,
    from: 0,
    bytes: 16_000,
    sha256: '0e76836573e84f2dbc8375eb38b8c4c7b3e5cbbf46bb4b0186f724e2dd0ad082',
  },
]

/** Iterates over the frames of a capture, with layouts. Both are good until the next one. */
function forEach(
  file: string,
  options: CaptureOptions,
  each: (frame: LinkFrame, layout: FrameLayout) => void,
): void {
  const link = createCaptureLink(join(folder, file), options)
  const layout = new FrameLayout()
  while (!link.ended) {
    const frame = link.receive(link.nextAtNs())
    assert.ok(frame !== undefined)
    const { memory, offset, length, originalLength } = frame
    each(frame, parseFrame(memory.bytes, offset, length, layout, originalLength))
  }
  assert.ok(!link.truncated)
  link.close()
}

for (const { file, to, from, bytes, sha256 } of streams) {
  test(`${file}: the stream ${to === 0 ? `from ${from}` : `to ${to}`}`, () => {
    for (const timing of ['kept', 'none'] as const) {
      const stream = Buffer.alloc(bytes)
      const filled = new Uint8Array(bytes)
      let first = -1
      forEach(file, { timing }, (frame, layout) => {
        if (layout.kind !== FrameKind.tcp) return
        if (layout.destinationPort !== to && layout.sourcePort !== from) return
        if ((layout.tcpFlags & SYN) !== 0) first = layout.seq + 1
        const at = (layout.seq - first) >>> 0
        const begin = frame.offset + layout.headerLength
        const payload = frame.memory.bytes.subarray(begin, begin + layout.payloadLength)
        stream.set(payload, payload.length === 0 ? 0 : at)
        filled.fill(1, at, at + payload.length)
      })
      assert.ok(filled.every((one) => one === 1))
      assert.equal(createHash('sha256').update(stream).digest('hex'), sha256)
    }
  })
}

/** Checks the whole checksum of each TCP frame. Returns the number of partial ones. */
function partials(file: string): { partial: number; tcp: number } {
  let partial = 0
  let tcp = 0
  forEach(file, {}, (frame, layout) => {
    if (layout.kind !== FrameKind.tcp) return
    tcp++
    if (frame.checksum === 'partial') {
      partial++
      return
    }
    const segmentBytes = layout.headerLength - layout.l4Offset + layout.payloadLength
    const addresses = frame.memory.sum(
      frame.offset + layout.sourceOffset,
      2 * layout.addressBytes,
      6 + segmentBytes,
    )
    const sum = frame.memory.sum(frame.offset + layout.l4Offset, segmentBytes, addresses)
    assert.equal(sum, 0xffff)
  })
  return { partial, tcp }
}

test('where the host offloads, every checksum is partial; else every one is complete and right', () => {
  assert.deepEqual(partials('tcp-offload.pcap'), { partial: 16, tcp: 16 })
  assert.deepEqual(partials('tcp-ipv6.pcapng'), { partial: 0, tcp: 51 })
  assert.deepEqual(partials('tcp-sack.pcap'), { partial: 0, tcp: 58 })
  assert.deepEqual(partials('vlan-fragments.pcap'), { partial: 0, tcp: 30 })
  forEach('tcp-offload.pcap', { partialChecksums: 'never' }, (frame) => {
    assert.equal(frame.checksum, 'complete')
  })
})

test('frames are what they are: TSO, tagged, fragments', () => {
  let longest = 0
  forEach('tcp-offload.pcap', {}, (frame) => {
    longest = Math.max(longest, frame.length)
  })
  assert.equal(longest, 14_546)
  const kinds = new Map<number, number>()
  forEach('vlan-fragments.pcap', {}, (_, layout) => {
    assert.equal(layout.vlan, 10)
    kinds.set(layout.kind, (kinds.get(layout.kind) ?? 0) + 1)
  })
  assert.equal(kinds.get(FrameKind.tcp), 30)
  assert.equal(kinds.get(FrameKind.fragment), 12)
  assert.equal(kinds.get(FrameKind.malformed), undefined)
})

test('times are ns from the first frame', () => {
  const times: number[] = []
  forEach('tcp-ipv6.pcapng', { timing: 'kept' }, ({ timeNs }) => times.push(timeNs))
  // Times as tshark prints them.
  assert.deepEqual(times.slice(0, 5), [0, 36_888, 60_232, 574_711, 583_297])
  assert.equal(times.at(-1), 1_255_238)
  times.length = 0
  forEach('tcp-sack.pcap', { timing: 'kept' }, ({ timeNs }) => times.push(timeNs))
  assert.deepEqual(times.slice(0, 3), [0, 14_006, 637_623])
  times.length = 0
  forEach('tcp-offload.pcap', { timing: 'kept' }, ({ timeNs }) => times.push(timeNs))
  assert.deepEqual(times.slice(0, 3), [0, 33_000, 45_000])
})
