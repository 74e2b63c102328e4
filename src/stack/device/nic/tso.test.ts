// Segmentation and checksums of sent packets, with links that take them and links that do not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { setUint16 } from '../../../wire/bytes.ts'
import { hasPartialChecksum } from '../../../wire/frame-checksums.ts'
import { ACK, CWR, FIN, PSH } from '../../../wire/tcp.ts'
import {
  TX_CHECKSUM,
  TX_END_OF_PACKET,
  TX_REPORT,
  type TxFrontEnd,
  type TxPieces,
} from '../../rings/tx-front-end.ts'
import {
  arp,
  checksumsAreRight,
  type FrameSpec,
  fillChecksums,
  frame,
  layoutOf,
  pattern,
} from './frames.test.helper.ts'
import type { NetworkCard } from './network-card.ts'
import { type TestLink, testNic } from './nic.test.helper.ts'

/** Descriptor of a piece. What it says of the packet counts in the first one. */
interface TestPiece {
  readonly region: number
  readonly offset: number
  readonly bytes: number
  readonly flags: number
  readonly mssBytes: number
  readonly headerBytes: number
  readonly tag: number
}

/** A ring end whose descriptors are an array. */
class TestTxEnd implements TxFrontEnd {
  readonly full = false
  readonly pieces: TestPiece[] = []
  /** Events: pieces taken, head completions, and tags. */
  readonly events: string[] = []
  #read = 0

  posted(): number {
    return this.pieces.length
  }

  read(into: TxPieces): boolean {
    into.clear()
    for (const { region, offset, bytes, flags, ...packet } of this.pieces.slice(this.#read)) {
      if (into.count === 0) Object.assign(into, packet)
      this.#read++
      into.add(region, offset, bytes)
      into.flags |= flags
      if ((flags & TX_END_OF_PACKET) !== 0) return true
    }
    return false
  }

  take(): number {
    const count = this.#read
    this.pieces.splice(0, count)
    this.events.push(`take ${count}`)
    this.#read = 0
    return count
  }

  rewind(): void {
    this.#read = 0
  }

  completeHead(): void {
    this.events.push('head')
  }

  complete(tag: number): void {
    this.events.push(`tag ${tag}`)
  }

  flush(): void {}
}

interface Sender {
  readonly nic: NetworkCard
  readonly link: TestLink
  readonly end: TestTxEnd
  readonly unmap: () => void
  /** Posts a packet in pieces of `bytes`. */
  readonly post: (packet: Uint8Array, options?: Partial<TestPiece>, bytes?: number) => void
}

function sender(maxFrameBytes = 2 ** 18): Sender {
  const { nic, link, dma } = testNic({ maxFrameBytes })
  const memory = new Uint8Array(2 ** 20)
  const region = dma.map(memory)
  const end = new TestTxEnd()
  nic.startTxQueue(0, end)
  let next = 0
  return {
    nic,
    link,
    end,
    unmap: () => dma.unmap(region),
    post: (packet, options = {}, bytes = 16_000) => {
      for (let at = 0; at < packet.length; at += bytes) {
        const part = packet.subarray(at, at + bytes)
        const last = at + bytes >= packet.length ? TX_END_OF_PACKET : 0
        memory.set(part, next)
        const piece = { mssBytes: 0, headerBytes: 0, tag: 0, flags: TX_CHECKSUM, ...options }
        const flags = piece.flags | last
        end.pieces.push({ ...piece, flags, region, offset: next, bytes: part.length })
        next += part.length
      }
    },
  }
}

/** The segments that `spec` has to become. */
function segmentsOf(spec: FrameSpec, mss: number): Uint8Array[] {
  const { payload = new Uint8Array(0), seq = 0, flags = ACK, vlan } = spec
  const segments: Uint8Array[] = []
  for (let at = 0; at < payload.length; at += mss) {
    let own = flags
    if (at > 0) own &= ~CWR
    if (at + mss < payload.length) own &= ~(FIN | PSH)
    const part = payload.slice(at, at + mss)
    const segment = frame({ ...spec, seq: (seq + at) >>> 0, flags: own, payload: part })
    if (spec.ipVersion !== 6) {
      setUint16(segment, vlan === undefined ? 18 : 22, segments.length)
      fillChecksums(segment)
    }
    segments.push(segment)
  }
  return segments
}

const specs: fc.Arbitrary<FrameSpec> = fc
  .record({
    ipVersion: fc.constantFrom<4 | 6>(4, 6),
    vlan: fc.constantFrom(undefined, 7),
    bytes: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 60_000 })),
    options: fc.constantFrom(0, 12, 40),
    seq: fc.constantFrom(0, 0xffff_fff0),
    flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN | PSH | CWR),
  })
  .map(({ bytes, options, vlan, ...rest }) => ({
    ...rest,
    ...(vlan === undefined ? {} : { vlan }),
    payload: pattern(bytes),
    options: pattern(options),
  }))

test('a link that takes ordinary frames gets every segment, as its host would have made it', () => {
  fc.assert(
    fc.property(
      specs,
      fc.integer({ min: 8, max: 3000 }),
      fc.integer({ min: 20, max: 16_000 }),
      (spec, least, pieceBytes) => {
        const mssBytes = Math.max(least, Math.ceil((spec.payload?.length ?? 0) / 40))
        const { nic, link, end, post } = sender()
        const packet = frame(spec)
        const { headerLength: headerBytes, l4Offset } = layoutOf(packet)
        packet.fill(0xab, l4Offset + 16, l4Offset + 18)
        post(packet, { mssBytes, headerBytes, tag: 9, flags: 0 }, Math.max(pieceBytes, 200))
        assert.equal(nic.transmit(0), 1)
        const expected = segmentsOf(spec, mssBytes)
        assert.deepEqual(link.sent, expected)
        assert.ok(link.sentChecksums.every((checksum) => checksum === 'complete'))
        assert.deepEqual(end.events.at(-1), 'tag 9')
        const stats = nic.counters.stats().device
        assert.equal(stats.tx_packets, expected.length)
        assert.equal(
          stats.tx_bytes,
          expected.reduce((sum, { length }) => sum + length, 0),
        )
        assert.equal(stats.tx_hw_gso_wire_packets, expected.length > 1 ? expected.length : 0)
      },
    ),
    { numRuns: 60 },
  )
})

test('a link that takes large frames gets the packet whole, in pieces where it takes those', () => {
  for (const [pieces, partialChecksums] of [
    [false, false],
    [true, false],
    [true, true],
  ] as const) {
    for (const ipVersion of [4, 6] as const) {
      const { nic, link, post } = sender()
      link.features = { largeFrames: true, partialChecksums }
      if (pieces) link.takePieces()
      const packet = frame({ ipVersion, payload: pattern(50_000), badChecksum: true })
      const { headerLength: headerBytes } = layoutOf(packet)
      post(packet, { mssBytes: 1400, headerBytes }, 3000)
      const short = frame({ ipVersion, payload: pattern(1400, 3), badChecksum: true })
      post(short, { mssBytes: 1400, headerBytes })
      assert.equal(nic.transmit(0), 2)
      assert.deepEqual(link.sentSegmentBytes, [1400, 0])
      assert.deepEqual(link.sentChecksums, ['partial', partialChecksums ? 'partial' : 'complete'])
      assert.deepEqual(link.sentCopied, [
        pieces ? headerBytes : packet.length,
        partialChecksums ? headerBytes : short.length,
      ])
      const [first, second] = link.sent
      assert.ok(first !== undefined && second !== undefined)
      assert.ok(hasPartialChecksum(first, 0, layoutOf(first)))
      if (partialChecksums) assert.ok(hasPartialChecksum(second, 0, layoutOf(second)))
      else assert.ok(checksumsAreRight(second, 0, layoutOf(second)))
      const { headerLength } = layoutOf(first)
      assert.deepEqual(first.slice(headerLength), packet.slice(headerLength))
      const stats = nic.counters.stats().device
      assert.deepEqual([stats.tx_packets, stats.tx_hw_gso_packets], [37, 1])
      assert.equal(stats.tx_bytes, packet.length + 35 * headerLength + short.length)
    }
  }
})

test('256 KiB in more pieces than an skb has are sent, with any length in the IP header', () => {
  const payload = pattern(250_000)
  const { nic, link, post } = sender(2 ** 18)
  const packet = new Uint8Array(54 + payload.length)
  packet.set(frame({ flags: ACK | PSH }))
  // A length of 0 in IPv4: more than 16 bits can say (BIG TCP).
  setUint16(packet, 16, 0)
  packet.set(payload, 54)
  post(packet, { mssBytes: 4000, headerBytes: 54 }, 5000)
  assert.equal(nic.transmit(0), 1)
  assert.deepEqual(link.sent, segmentsOf({ payload, flags: ACK | PSH }, 4000))
})

test('tags finish in order, sent or not; a report is for the head of the ring', () => {
  const { nic, link, end, post, unmap } = sender()
  const packet = frame({ payload: pattern(500) })
  post(packet, { tag: 5 }, 100)
  post(packet, { tag: 7, flags: TX_CHECKSUM | TX_REPORT })
  post(arp(), { tag: 6, mssBytes: 100, headerBytes: 42 })
  post(packet, { tag: 4, mssBytes: 100, headerBytes: 53 })
  post(packet, { tag: 2, mssBytes: 7, headerBytes: 54 })
  post(arp(), { tag: 8 })
  assert.equal(nic.transmit(0), 3)
  assert.deepEqual(end.events, [
    ...['take 6', 'tag 5', 'take 1', 'head', 'tag 7', 'take 1', 'tag 6'],
    ...['take 1', 'tag 4', 'take 1', 'tag 2', 'take 1', 'tag 8'],
  ])
  assert.equal(nic.counters.stats().device.tx_hw_drop_errors, 3)
  assert.equal(link.sent.length, 3)
  unmap()
  post(packet, { tag: 3, flags: TX_REPORT })
  assert.equal(nic.transmit(0), 0)
  assert.deepEqual(end.events.slice(-3), ['take 1', 'head', 'tag 3'])
  assert.equal(nic.counters.stats().device.tx_dma_faults, 1)
})

test('frames without a checksum to complete pass as they are, in pieces or whole', () => {
  for (const pieces of [false, true]) {
    const { nic, link, post } = sender()
    if (pieces) {
      link.features = { largeFrames: true, partialChecksums: true }
      link.takePieces()
    }
    const icmp = frame({ protocol: 'icmp', payload: pattern(900) })
    const frames = [arp(300), icmp, frame({ payload: pattern(700), badChecksum: true })]
    for (const [at, one] of frames.entries()) post(one, { flags: at === 2 ? 0 : TX_CHECKSUM })
    assert.equal(nic.transmit(0), 3)
    assert.deepEqual(link.sent, frames)
    assert.deepEqual(link.sentChecksums, ['complete', 'complete', 'complete'])
  }
})
