import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import {
  ControlReader,
  DEVMEM_CMSG_SPACE,
  parseControl,
  writeDmaBuf,
  writeLinear,
} from './control-messages.ts'
import { queuedErrorOf } from './queued-errors.ts'

test('a dmabuf message is laid out as on 64-bit Linux', () => {
  const control = new Uint8Array(48).fill(0xff)
  writeDmaBuf(control, 4, 0x1_2345_6789, 0x8000_0001, 0x7fff_fffe, 3)
  // cmsg_len u64, cmsg_level, cmsg_type, then frag_offset u64, frag_size, frag_token, dmabuf_id, flags.
  assert.equal(
    Buffer.from(control).toString('hex'),
    'ffffffff' +
      '2800000000000000' +
      '01000000' +
      '4f000000' +
      '8967452301000000' +
      '01000080' +
      'feffff7f' +
      '03000000' +
      '00000000' +
      'ffffffff',
  )
  writeLinear(control, 0, 9)
  assert.equal(
    Buffer.from(control.subarray(0, 40)).toString('hex'),
    `2800000000000000010000004e000000${'0'.repeat(16)}09000000${'0'.repeat(24)}`,
  )
})

test('what is written is read', () => {
  const message = fc.oneof(
    fc.record({ kind: fc.constant('linear' as const), fragSize: fc.nat({ max: 2 ** 32 - 1 }) }),
    fc.record({
      kind: fc.constant('dmabuf' as const),
      fragOffset: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      fragSize: fc.nat({ max: 2 ** 32 - 1 }),
      fragToken: fc.nat({ max: 2 ** 31 - 1 }),
      dmabufId: fc.nat({ max: 2 ** 32 - 1 }),
      flags: fc.constant(0),
    }),
  )
  fc.assert(
    fc.property(fc.array(message, { maxLength: 9 }), (messages) => {
      const control = new Uint8Array(messages.length * DEVMEM_CMSG_SPACE + 7).fill(0xaa)
      for (const [index, one] of messages.entries()) {
        const at = index * DEVMEM_CMSG_SPACE
        if (one.kind === 'linear') writeLinear(control, at, one.fragSize)
        else {
          writeDmaBuf(control, at, one.fragOffset, one.fragSize, one.fragToken, one.dmabufId)
        }
      }
      const plain = messages.map((one) => ({ ...one }))
      assert.deepEqual(parseControl(control, messages.length * DEVMEM_CMSG_SPACE), plain)
      assert.deepEqual(parseControl(control), plain)
    }),
  )
})

test('messages of others are passed over, also between ours', () => {
  const control = new Uint8Array(24 + 40 + 40)
  // 3 bytes of data, aligned to 8. Then a dmabuf message that is one of the socket layer by type only.
  control.set([19, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 79, 0, 0, 0, 1, 2, 3])
  writeLinear(control, 24, 5)
  writeDmaBuf(control, 64, 2 ** 53, 1, 1, 1)
  const [other, linear, unsafe] = parseControl(control)
  assert.deepEqual(other, { kind: 'other', level: 6, type: 79, data: new Uint8Array([1, 2, 3]) })
  assert.deepEqual(linear, { kind: 'linear', fragSize: 5 })
  assert.equal(unsafe?.kind, 'other')
})

test('regression: truncated control messages', () => {
  const control = new Uint8Array(80)
  writeLinear(control, 0, 1)
  writeDmaBuf(control, 40, 4096, 100, 1, 1)
  for (let bytes = 0; bytes <= 80; bytes++) {
    const whole = Math.floor(bytes / 40)
    assert.equal(parseControl(control, bytes).length, whole)
    assert.equal(parseControl(control.slice(0, bytes)).length, whole)
  }
})

test('no bytes make it throw, loop or read outside', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.tuple(fc.nat({ max: 24 }), fc.nat({ max: 60 })), { maxLength: 4 }),
      fc.integer({ min: -10, max: 300 }),
      (bytes, lengths, controlBytes) => {
        // Likely lengths at likely places, as random ones end at once.
        for (const [place] of lengths) bytes.fill(0, place * 8, place * 8 + 8)
        for (const [place, length] of lengths) {
          if (place * 8 < bytes.length) bytes[place * 8] = length
        }
        const messages = parseControl(bytes, controlBytes)
        assert.ok(messages.length * 16 <= bytes.length)
        for (const message of messages) {
          if (message.kind !== 'other') continue
          const { byteOffset, byteLength, buffer } = message.data
          assert.equal(buffer, bytes.buffer)
          assert.ok(byteOffset + byteLength <= bytes.byteOffset + bytes.byteLength)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('a header alone is a message, whose numbers are signed', () => {
  const control = new Uint8Array(new Int32Array([16, 0, -1, -2, 20, 0, 1, 2, -3]).buffer)
  const reader = new ControlReader()
  reader.start(control, 16)
  assert.ok(reader.next())
  assert.deepEqual([reader.kind, reader.level, reader.type, reader.dataBytes], ['other', -1, -2, 0])
  assert.equal(reader.next(), false)
  // Data up to the end of the buffer.
  reader.start(control, control.length)
  assert.ok(reader.next() && reader.next())
  assert.deepEqual([reader.dataBytes, reader.data32(0), reader.data32(1)], [4, 2 ** 32 - 3, 0])
})

test('one reader finds messages in one buffer after the other, and stays inside them', () => {
  const reader = new ControlReader()
  let met = 0
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 220 }), (bytes, claimed) => {
      // The control buffer is a part of larger memory.
      const control = new Uint8Array(bytes.length + 14).fill(0xff).subarray(7, 7 + bytes.length)
      control.set(bytes)
      // Most of them begin with a plausible header.
      if (bytes.length > 40 && bytes[40] !== 0) writeDmaBuf(control, 0, 4096, 7, met, 9)
      const parsed = parseControl(control, claimed)
      reader.start(control, claimed)
      for (const message of parsed) {
        assert.ok(reader.next())
        assert.equal(reader.kind, message.kind)
        assert.ok(reader.dataAt + reader.dataBytes <= Math.min(bytes.length, claimed))
        if (message.kind === 'dmabuf') assert.equal(reader.fragToken, met++)
        queuedErrorOf(reader)
        // All that is behind the end reads as 0.
        assert.equal(reader.data32(Math.min(bytes.length, claimed) - reader.dataAt - 3), 0)
      }
      assert.equal(reader.next(), false)
    }),
  )
  assert.ok(met > 20, `${met} messages`)
})

test('completions of zero-copy sends are read from the error queue', () => {
  const control = new Uint8Array(48)
  const view = new DataView(control.buffer)
  view.setUint32(0, 48, true)
  const reader = new ControlReader()
  const read = (): unknown => {
    reader.start(control, control.length)
    assert.ok(reader.next())
    return queuedErrorOf(reader)
  }
  assert.equal(read(), undefined, 'of no level')
  view.setInt32(12, 11, true)
  view.setUint8(20, 5)
  view.setUint32(24, 0xffff_ffff, true)
  view.setUint32(28, 2, true)
  assert.deepEqual(read(), { kind: 'zerocopy', first: 0xffff_ffff, last: 2, copied: false })
  view.setUint8(22, 1)
  assert.deepEqual(read(), { kind: 'zerocopy', first: 0xffff_ffff, last: 2, copied: true })
  view.setInt32(8, 41, true)
  view.setInt32(12, 25, true)
  view.setUint32(16, 111, true)
  view.setUint8(20, 3)
  assert.deepEqual(read(), { kind: 'other', errno: 111, origin: 3 })
  view.setUint32(0, 31, true)
  assert.equal(read(), undefined, 'too short')
})
