import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  PostedBuffers,
  packetTypeOf,
  RX_CHECKSUM_OK,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_L4_CHECKSUM_BAD,
  RX_SPLIT,
  RxCompletion,
} from '../../stack/rings/rx-front-end.ts'
import {
  TX_CHECKSUM,
  TX_END_OF_PACKET,
  TX_REPORT,
  TxPieces,
} from '../../stack/rings/tx-front-end.ts'
import { FrameKind } from '../../wire/frame-layout.ts'
import { packetTypeIndex } from '../admin/packet-types.ts'
import { GuestDma, GuestPiece } from '../guest-dma.ts'
import { Publication } from '../rings/publication.ts'
import { GuestRam } from '../testing/guest-ram.test.helper.ts'
import { RX_GENERATION_WORD, writeRxCompletion, writeRxCompletions } from './rx-completion.ts'
import { readHeaderAddress, readRxDescriptor, readRxDescriptors } from './rx-descriptor.ts'
import {
  TX_DESCRIPTOR_COMPLETION,
  TX_PACKET_COMPLETION,
  writeTxCompletion,
} from './tx-completion.ts'
import { readTxPacket } from './tx-descriptor.ts'

/** Address of a guest's memory, whose low word has its highest bit. */
const BASE = 6 * 2 ** 30

test('a receive descriptor tells the buffer’s number and the addresses of buffer and header buffer', () => {
  const bytes = new Uint8Array(64)
  const view = new DataView(bytes.buffer)
  view.setUint16(32, 0xabcd, true)
  view.setBigUint64(40, 0x0012_3456_789a_bcden, true)
  view.setBigUint64(48, 0x0001_0000_0080_0000n, true)
  const words = new Uint32Array(bytes.buffer)
  const descriptor = { id: 0, high: 0, low: 0 }
  readRxDescriptor(words, 8, descriptor)
  assert.deepEqual(descriptor, { id: 0xabcd, high: 0x12_3456, low: 0x789a_bcde })
  readHeaderAddress(words, 8, descriptor)
  assert.deepEqual(descriptor, { id: 0xabcd, high: 0x1_0000, low: 0x80_0000 })
})

test('receive descriptors are read for as many bytes as there are, around the ring’s end', () => {
  const guest = new GuestDma()
  guest.attach(new GuestRam({ base: BASE, regionBytes: 2 ** 16 }))
  const words = new Uint32Array(4 * 8)
  const view = new DataView(words.buffer)
  const addresses = [BASE + 4096, BASE + 2 ** 16 - 100, BASE + 8192, BASE]
  for (const [index, address] of addresses.entries()) {
    view.setUint16(32 * index, 0xff00 + index, true)
    view.setBigUint64(32 * index + 8, BigInt(address), true)
  }
  const into = new PostedBuffers()
  readRxDescriptors(words, 2, 2048, 3 * 2048 + 1, new GuestPiece(guest, true), into)
  assert.equal(into.count, 4)
  assert.deepEqual([...into.ids.subarray(0, 4)], [0xff02, 0xff03, 0xff00, 0xff01])
  assert.deepEqual([...into.regions.subarray(0, 4)], [0, 0, 0, -1])
  assert.deepEqual([...into.offsets.subarray(0, 3)], [8192, 0, 4096])
  assert.deepEqual([...into.lengths.subarray(0, 4)], [2048, 2048, 2048, 2048])
})

test('completions of a packet’s buffers are as those that are written one by one', () => {
  const buffers = new PostedBuffers()
  for (const id of [7, 0xffff, 3]) {
    buffers.add(0, 0, 1000)
    buffers.ids[buffers.count - 1] = id
  }
  const packet = { headerBytes: 54, segmentBytes: 1448, hash: -7, packetType: 33 }
  for (const from of [0, 1, 2, 3]) {
    const words = new Uint32Array(4 * 8)
    const expected = new Uint32Array(4 * 8)
    const completion = new RxCompletion()
    Object.assign(completion, packet, { flags: RX_SPLIT | RX_CHECKSUM_OK })
    const publication = new Publication(words)
    writeRxCompletions(words, from, completion, buffers, 2500, 1, publication)
    publication.publish()
    for (const index of [0, 1, 2]) {
      completion.id = buffers.ids[index] ?? assert.fail()
      completion.bytes = index < 2 ? 1000 : 500
      if (index > 0) Object.assign(completion, { headerBytes: 0 })
      if (index === 2) completion.flags |= RX_END_OF_PACKET
      const at = 8 * ((from + index) % 4)
      const lap = from + index < 4 ? 1 : 0
      expected[at + RX_GENERATION_WORD] = writeRxCompletion(expected, at, completion, lap)
    }
    assert.deepEqual(words, expected)
  }
})

test('a receive completion has its fields where the driver looks for them', () => {
  const bytes = new Uint8Array(64)
  const words = new Uint32Array(bytes.buffer)
  const completion = new RxCompletion()
  completion.id = 0x1234
  completion.bytes = 0x3ffe
  completion.headerBytes = 0x3fd
  completion.packetType = packetTypeOf(FrameKind.tcp, 6)
  completion.flags = RX_SPLIT | RX_END_OF_PACKET | RX_L4_CHECKSUM_BAD
  completion.segmentBytes = 1448
  completion.hash = -2
  words[8 + RX_GENERATION_WORD] = writeRxCompletion(words, 8, completion, 1)
  const view = new DataView(bytes.buffer, 32)
  assert.equal(view.getUint8(0), 1)
  assert.equal(view.getUint8(1), 0)
  assert.equal(view.getUint16(2, true), packetTypeIndex(FrameKind.tcp, 6))
  assert.equal(view.getUint16(4, true), 0x3ffe | 0x4000)
  assert.equal(view.getUint16(6, true), 0x3fd | (1 << 10) | (1 << 11))
  assert.equal(view.getUint8(8), 0b10_1011)
  assert.equal(view.getUint16(12, true), 0x1234)
  assert.equal(view.getUint16(14, true), 1448)
  assert.equal(view.getUint32(16, true), 0xffff_fffe)
  assert.deepEqual(bytes.subarray(0, 32), new Uint8Array(32))
  Object.assign(completion, { flags: RX_FAULT | RX_END_OF_PACKET, segmentBytes: 0, headerBytes: 0 })
  words[8 + RX_GENERATION_WORD] = writeRxCompletion(words, 8, completion, 0)
  assert.equal(view.getUint8(1), 4)
  assert.equal(view.getUint16(4, true), 0x3ffe)
  assert.equal(view.getUint16(6, true), 0)
})

test('a packet’s descriptors are read up to its end, and in parts across the border of two maps', () => {
  const ram = new GuestRam({ base: BASE, regionBytes: 2 ** 16, regions: 2 })
  const guest = new GuestDma()
  guest.attach(ram)
  const memory = new GuestPiece(guest, false)
  const bytes = new Uint8Array(8 * 16)
  const view = new DataView(bytes.buffer)
  const words = new Uint32Array(bytes.buffer)
  const data = (index: number, address: number, length: number, flags: number): void => {
    view.setBigUint64(16 * index, BigInt(address), true)
    view.setUint8(16 * index + 8, 0xc | flags)
    view.setUint16(16 * index + 12, 0xfff0 + index, true)
    view.setUint16(16 * index + 14, 0xc000 | length, true)
  }
  view.setUint32(16 * 6, 0xff01_0203, true)
  view.setUint16(16 * 6 + 4, 0xc000 | 1448, true)
  view.setUint8(16 * 6 + 6, 66)
  view.setUint8(16 * 6 + 8, 0x5 | 0x20)
  view.setUint8(16 * 7 + 8, 0x4 | 0x20)
  data(0, BASE + 100, 66, 0x40)
  data(1, BASE + 2 ** 16 - 1000, 9000, 0)
  data(2, BASE + 2 ** 17 - 10, 20, 0)
  data(3, BASE - 1, 20, 0)
  data(4, BASE + 300, 1, 0x20 | 0x80)
  data(5, BASE, 60, 0x20)
  const into = new TxPieces()
  const read = (from: number, tail: number): unknown[] => {
    const next = readTxPacket(words, from, tail, memory, into)
    const { count, regions, offsets, lengths, flags, tag, mssBytes, headerBytes } = into
    const pieces = Array.from({ length: count }, (_, at) =>
      regions[at] === -1 ? [-1, lengths[at]] : [regions[at], offsets[at], lengths[at]],
    )
    return [next, flags, tag, mssBytes, headerBytes, ...pieces]
  }
  const isGiven = [
    [0, 100, 66],
    [0, 2 ** 16 - 1000, 1000],
    [1, 0, 8000],
    [1, 2 ** 16 - 10, 10],
    [-1, 10],
    [-1, 20],
    [0, 300, 1],
  ]
  const flags = TX_CHECKSUM | TX_END_OF_PACKET | TX_REPORT
  assert.deepEqual(read(6, 6), [6, 0, 0, 0, 0])
  assert.deepEqual(read(6, 1), [1, TX_CHECKSUM, 0xfff0, 1448, 66, [0, 100, 66]], 'no end')
  assert.deepEqual(read(6, 6), [6, 0, 0, 0, 0])
  assert.deepEqual(read(6, 5), [5, flags, 0xfff0, 1448, 66, ...isGiven])
  assert.deepEqual(read(5, 6), [6, TX_END_OF_PACKET, 0xfff5, 0, 0, [0, 0, 60]])
  data(0, BASE + 300, 16_000, 0)
  data(1, BASE + 16_300, 5, 0)
  data(2, BASE + 16_304, 1, 0)
  data(3, BASE + 16_305, 7, 0x20)
  const touching = [
    [0, 300, 16_005],
    [0, 16_304, 8],
  ]
  assert.deepEqual(read(0, 4), [4, TX_END_OF_PACKET, 0xfff0, 0, 0, ...touching])
  assert.equal(into.descriptors, 4)
})

test('a transmit completion tells queue, type, generation and its value', () => {
  const bytes = new Uint8Array(16).fill(0xff)
  const words = new Uint32Array(bytes.buffer)
  words[2] = writeTxCompletion(words, 2, 5, TX_PACKET_COMPLETION, 0xfedc, 1)
  const view = new DataView(bytes.buffer, 8)
  assert.equal(view.getUint16(0, true), 5 | (2 << 11) | 0x8000)
  assert.equal(view.getUint16(2, true), 0xfedc)
  assert.equal(view.getUint32(4, true), 0)
  words[2] = writeTxCompletion(words, 2, 5, TX_DESCRIPTOR_COMPLETION, 17, 0)
  assert.equal(view.getUint16(0, true), 5 | (4 << 11))
  assert.equal(view.getUint16(2, true), 17)
})
