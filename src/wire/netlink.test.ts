import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { fc } from '../testing/fast-check.test.helper.ts'
import {
  buildMessage,
  genericHeader,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
} from './netlink.ts'
import { parseAcknowledgement } from './netlink-acknowledgement.ts'
import { AttributeWriter, NLA_F_NESTED, parseAttributes } from './netlink-attributes.ts'

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const malformed = { code: 'NETMEM_NETLINK_MALFORMED', name: 'NetlinkFormatError' }

/** The first message of what Linux 6.18 has sent. */
function recorded(hex: string): NetlinkMessage {
  const [message] = parseMessages(bytesOf(hex))
  assert.ok(message !== undefined)
  return message
}

test('a request is laid out as the kernel takes it', () => {
  const writer = new AttributeWriter()
  writer.put(2, Buffer.from('netdev\0'))
  const message = buildMessage(
    16,
    NLM_F_REQUEST | NLM_F_ACK,
    1,
    genericHeader(3, 1),
    writer.bytes(),
  )
  assert.equal(
    hexOf(message),
    '20000000100005000100000000000000' + '03010000' + '0b0002006e65746465760000',
  )
})

test('parts of a dump come in one datagram', () => {
  const messages = parseMessages(
    bytesOf(
      '2c00000014000000060000000c0600000a010000080001000000000008000300000000000800020001000000' +
        '2c00000014000000060000000c0600000a010000080001000000000008000300010000000800020001000000' +
        '1400000003000200060000000c06000000000000',
    ),
  )
  assert.deepEqual(
    messages.map(({ type, flags, sequence, portId, payload }) => [
      type,
      flags,
      sequence,
      portId,
      payload.length,
    ]),
    [
      [20, 0, 6, 0x60c, 28],
      [20, 0, 6, 0x60c, 28],
      [NLMSG_DONE, 2, 6, 0x60c, 4],
    ],
  )
})

test('what is built is read, with padding between messages', () => {
  const message = fc.record({
    type: fc.nat({ max: 65535 }),
    flags: fc.nat({ max: 65535 }),
    sequence: fc.nat({ max: 2 ** 32 - 1 }),
    payload: fc.uint8Array({ maxLength: 40 }),
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      const datagram = Buffer.concat(
        messages.map((each) => buildMessage(each.type, each.flags, each.sequence, each.payload)),
      )
      assert.deepEqual(
        parseMessages(datagram).map((each) => ({ ...each, payload: [...each.payload] })),
        messages.map((each) => ({ ...each, portId: 0, payload: [...each.payload] })),
      )
    }),
  )
})

test('attributes and nests that are written are read', () => {
  const attribute = fc.tuple(fc.nat({ max: 0x3fff }), fc.uint8Array({ maxLength: 300 }))
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 9 }), (attributes) => {
      const writer = new AttributeWriter()
      const start = writer.begin(7 | NLA_F_NESTED)
      for (const [type, value] of attributes) writer.put(type, value)
      writer.end(start)
      const [nest, ...rest] = parseAttributes(writer.bytes())
      assert.ok(nest?.nested === true)
      assert.equal(nest.type, 7)
      assert.equal(rest.length, 0)
      const read = parseAttributes(nest.value)
      assert.deepEqual(
        read.map(({ type, value }) => [type, [...value]]),
        attributes.map(([type, value]) => [type, [...value]]),
      )
      for (const { offset } of read) assert.equal(offset % 4, 0)
    }),
  )
})

test('an attribute that is too long for its length is refused', () => {
  const writer = new AttributeWriter()
  writer.put(1, new Uint8Array(65531))
  assert.throws(() => writer.put(1, new Uint8Array(65532)), { code: 'NETMEM_OUT_OF_RANGE' })
})

test('lengths that do not fit together are malformed', () => {
  for (const hex of [
    '00', // shorter than a header
    '0f000000020000000000000000000000', // shorter than its header
    '11000000020000000000000000000000', // longer than the datagram
    'ffffffff020000000000000000000000',
  ]) {
    assert.throws(() => parseMessages(bytesOf(hex)), malformed, hex)
  }
  for (const hex of ['000000', '03000100', '05000100', 'ffff0100', '04000100ffff']) {
    assert.throws(() => parseAttributes(bytesOf(hex)), malformed, hex)
  }
})

test('an acknowledgement of success has nothing but an errno of 0', () => {
  assert.deepEqual(
    parseAcknowledgement(
      recorded('2400000002000001010000000c0600000000000020000000100005000100000000000000'),
    ),
    { errno: 0 },
  )
})

test('a refusal has words, the place of the attribute, and its policy', () => {
  const { policy, ...rest } = parseAcknowledgement(
    recorded(
      '6c00000002000003020000000c060000deffffff1c00000014000500020000000000000019000100696e7465' +
        '676572206f7574206f662072616e6765000000000800020014000000240004800c00040001000000000000000c' +
        '000500ffffffff000000000800010004000000',
    ),
  )
  assert.deepEqual(rest, { errno: 34, message: 'integer out of range', offset: 20 })
  assert.deepEqual(policy && parseAttributes(policy).map(({ type }) => type), [4, 5, 1])
})

test('a refusal names the attribute that is missing', () => {
  const acknowledgement = parseAcknowledgement(
    recorded(
      '2c00000002000003030000000c060000eaffffff140000001400050003000000000000000800050001000000',
    ),
  )
  assert.deepEqual(acknowledgement, { errno: 22, missingType: 1 })
})

test('the attributes of a refusal stand behind a request that is repeated whole', () => {
  const request = buildMessage(20, 5, 1, Uint8Array.of(1, 1, 0, 0, 9, 9, 9, 9))
  const words = new AttributeWriter()
  words.put(1, Buffer.from('no\0'))
  const flags = 0x200 // NLM_F_ACK_TLVS without NLM_F_CAPPED
  const errno = Uint8Array.of(0xea, 0xff, 0xff, 0xff)
  const [message] = parseMessages(
    buildMessage(NLMSG_ERROR, flags, 1, errno, request, words.bytes()),
  )
  assert.ok(message !== undefined)
  assert.deepEqual(parseAcknowledgement(message), { errno: 22, message: 'no' })
})

test('the attributes of a dump that failed stand behind its errno', () => {
  const words = new AttributeWriter()
  words.put(1, Buffer.from('dump refused\0'))
  words.put(6, Uint8Array.of(24, 0, 0, 0))
  const errno = Uint8Array.of(0xa1, 0xff, 0xff, 0xff)
  const [message] = parseMessages(buildMessage(NLMSG_DONE, 0x202, 1, errno, words.bytes()))
  assert.ok(message !== undefined)
  assert.deepEqual(parseAcknowledgement(message), {
    errno: 95,
    message: 'dump refused',
    missingNest: 24,
  })
  const [bare] = parseMessages(bytesOf('1400000003000200050000000c060000edffffff'))
  assert.ok(bare !== undefined)
  assert.deepEqual(parseAcknowledgement(bare), { errno: 19 })
})

test('an acknowledgement that is cut is malformed, and a dump may end without an errno', () => {
  const cut = (type: number, flags: number, payload: Uint8Array) => () =>
    parseAcknowledgement({ type, flags, sequence: 1, portId: 0, payload })
  assert.throws(cut(NLMSG_ERROR, 0, new Uint8Array(3)), malformed)
  assert.throws(cut(NLMSG_ERROR, 0x200, new Uint8Array(19)), malformed)
  // The error says that it repeats a request of 255 bytes.
  assert.throws(
    cut(
      NLMSG_ERROR,
      0x200,
      Uint8Array.from({ length: 40 }, (_, i) => +(i === 4) * 255),
    ),
    malformed,
  )
  assert.deepEqual(cut(NLMSG_DONE, 0, new Uint8Array(0))(), { errno: 0 })
})

test('random and damaged bytes are read or malformed, and nothing else', () => {
  const valid = bytesOf(
    '6c00000002000003020000000c060000deffffff1c00000014000500020000000000000019000100696e7465' +
      '676572206f7574206f662072616e6765000000000800020014000000240004800c00040001000000000000000c' +
      '000500ffffffff000000000800010004000000',
  )
  const damaged = fc
    .array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), { maxLength: 6 })
    .map((changes) => {
      const bytes = valid.slice()
      for (const [at, value] of changes) bytes[at] = value
      return bytes
    })
  let read = 0
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        for (const message of parseMessages(bytes)) parseAcknowledgement(message)
        for (const attribute of parseAttributes(bytes)) parseAttributes(attribute.value)
        read += 1
      } catch (error) {
        assert.ok(isNetmemError(error) && error.code === 'NETMEM_NETLINK_MALFORMED', String(error))
      }
    }),
    { numRuns: 2000 },
  )
  assert.ok(read > 0, 'some were valid')
})
