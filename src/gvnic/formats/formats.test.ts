import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  packetTypeOf,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_L4_CHECKSUM_BAD,
  RX_SPLIT,
  RxCompletion,
} from '../../stack/rings/rx-front-end.ts'
import { TX_CHECKSUM, TX_END_OF_PACKET, TX_REPORT } from '../../stack/rings/tx-front-end.ts'
import { FrameKind } from '../../wire/frame-layout.ts'
import { packetTypeIndex } from '../admin/packet-types.ts'
import { RX_GENERATION_WORD, writeRxCompletion } from './rx-completion.ts'
import { readHeaderAddress, readRxDescriptor } from './rx-descriptor.ts'
import {
  TX_DESCRIPTOR_COMPLETION,
  TX_PACKET_COMPLETION,
  writeTxCompletion,
} from './tx-completion.ts'
import { readTxDescriptor, TxDescriptor, TxDescriptorType } from './tx-descriptor.ts'

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

test('a transmit descriptor is read by its type', () => {
  const bytes = new Uint8Array(32)
  const view = new DataView(bytes.buffer)
  const words = new Uint32Array(bytes.buffer)
  view.setBigUint64(16, 0x0012_3456_f89a_bcden, true)
  view.setUint8(24, 0xc | 0x20 | 0x80)
  view.setUint16(28, 0xfffe, true)
  view.setUint16(30, 0xc000 | 9000, true)
  const into = new TxDescriptor()
  readTxDescriptor(words, 4, into)
  assert.equal(into.type, TxDescriptorType.packet)
  assert.deepEqual([into.high, into.low >>> 0], [0x12_3456, 0xf89a_bcde])
  assert.equal(into.flags, TX_END_OF_PACKET | TX_REPORT)
  assert.deepEqual([into.tag, into.bytes], [0xfffe, 9000])
  view.setUint8(24, 0xc | 0x40)
  readTxDescriptor(words, 4, into)
  assert.equal(into.flags, TX_CHECKSUM)
  view.setUint32(16, 0xff01_0203, true)
  view.setUint16(20, 0xc000 | 1448, true)
  view.setUint8(22, 66)
  view.setUint8(24, 0x5 | 0x20)
  readTxDescriptor(words, 4, into)
  assert.equal(into.type, TxDescriptorType.segmentation)
  assert.deepEqual([into.totalBytes, into.segmentBytes, into.headerBytes], [0x1_0203, 1448, 66])
  assert.equal(into.tag, 0xfffe, 'fields of packets are left as they are')
  view.setUint8(24, 0x4)
  readTxDescriptor(words, 4, into)
  assert.equal(into.type, TxDescriptorType.metadata)
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
