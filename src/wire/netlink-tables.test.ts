// Encoding and decoding by tables, with a family that has every type.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { fc } from '../testing/fast-check.test.helper.ts'
import { AttributeWriter, parseAttributes } from './netlink-attributes.ts'
import { decodeAttributes, decodeStruct, structBytes } from './netlink-decode.ts'
import { attributePath, encodeAttributes, encodeStruct } from './netlink-encode.ts'
import type { Tables } from './netlink-tables.ts'

const tables: Tables = {
  enums: { color: { 0: 'red', 1: 'green', 7: 'blue' }, bits: { 0: 'one', 1: 'two', 40: 'far' } },
  structs: {
    head: [{ name: 'family', type: 'u8' }, { type: 'u8' }, { name: 'index', type: 's16' }],
  },
  sets: {
    all: [
      { id: 1, name: 'u8', type: 'u8' },
      { id: 2, name: 'u16', type: 'u16' },
      { id: 3, name: 'u32', type: 'u32' },
      { id: 4, name: 'u64', type: 'u64' },
      { id: 5, name: 's8', type: 's8' },
      { id: 6, name: 's16', type: 's16' },
      { id: 7, name: 's32', type: 's32' },
      { id: 8, name: 's64', type: 's64' },
      { id: 9, name: 'uint', type: 'uint' },
      { id: 10, name: 'sint', type: 'sint' },
      { id: 11, name: 'small', type: 'uint', small: true },
      { id: 12, name: 'port', type: 'u16', bigEndian: true },
      { id: 13, name: 'string', type: 'string' },
      { id: 14, name: 'binary', type: 'binary' },
      { id: 15, name: 'table', type: 'binary', element: 'u32' },
      { id: 16, name: 'head', type: 'binary', struct: 'head' },
      { id: 17, name: 'flag', type: 'flag' },
      { id: 18, name: 'color', type: 'u32', enum: 'color' },
      { id: 19, name: 'bits', type: 'u64', flags: 'bits' },
      { id: 20, name: 'nest', type: 'nest', nested: 'inner' },
      { id: 21, name: 'many', type: 'nest', nested: 'inner', multi: true },
      { id: 22, name: 'array', type: 'array', nested: 'inner' },
      { id: 23, name: 'levels', type: 'levels', nested: 'inner', levels: ['outer', 'middle'] },
      { id: 24, name: 'kind', type: 'string' },
      { id: 25, name: 'data', type: 'select', selector: 'kind', choices: { known: 'inner' } },
    ],
    inner: [
      { id: 1, name: 'id', type: 'u32' },
      { id: 2, name: 'deeper', type: 'nest', nested: 'inner' },
    ],
  },
}

const inner = fc.record(
  {
    id: fc.nat(),
    deeper: fc.record({ id: fc.nat() }, { requiredKeys: [], noNullPrototype: true }),
  },
  { requiredKeys: [], noNullPrototype: true },
)
const big = (bits: number, signed: boolean) =>
  signed
    ? fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n })
    : fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })
const all = fc.record(
  {
    u8: fc.nat({ max: 255 }),
    u16: fc.nat({ max: 65535 }),
    u32: fc.nat({ max: 2 ** 32 - 1 }),
    u64: big(64, false),
    s8: fc.integer({ min: -128, max: 127 }),
    s16: fc.integer({ min: -32768, max: 32767 }),
    s32: fc.integer(),
    s64: big(64, true),
    uint: fc.oneof(big(32, false), big(64, false)),
    sint: fc.oneof(big(32, true), big(64, true)),
    small: fc.nat({ max: 2 ** 32 - 1 }),
    port: fc.nat({ max: 65535 }),
    string: fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
    binary: fc.uint8Array({ maxLength: 20 }),
    table: fc.array(fc.nat(), { maxLength: 8 }),
    head: fc.record(
      { family: fc.nat({ max: 255 }), index: fc.integer({ min: -32768, max: 32767 }) },
      { noNullPrototype: true },
    ),
    flag: fc.constant(true),
    color: fc.constantFrom('red', 'green', 'blue', 99),
    bits: fc.subarray(['one', 'two', 9, 'far', 63] as const),
    nest: inner,
    many: fc.array(inner, { minLength: 1, maxLength: 3 }),
    array: fc.array(inner, { maxLength: 3 }),
    kind: fc.constant('known'),
    'unknown-attributes': fc.array(
      fc.record(
        { type: fc.integer({ min: 100, max: 0x3fff }), value: fc.uint8Array() },
        { noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 3 },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
)

test('what is encoded is decoded: every type, and unknown attributes', () => {
  fc.assert(
    fc.property(all, (values) => {
      const bytes = encodeAttributes(tables, 'all', values)
      assert.equal(bytes.length % 4, 0)
      assert.deepEqual(decodeAttributes(tables, 'all', bytes), values)
    }),
    { numRuns: 500 },
  )
})

test('auto-sized numbers take 4 bytes where they fit', () => {
  const lengths = (values: object) =>
    parseAttributes(encodeAttributes(tables, 'all', values)).map(({ value }) => value.length)
  assert.deepEqual(lengths({ uint: 2n ** 32n - 1n, sint: -(2n ** 31n), small: 1 }), [4, 4, 4])
  assert.deepEqual(lengths({ uint: 2n ** 32n, sint: -(2n ** 31n) - 1n }), [8, 8])
})

test('a sub-message is decoded by its selector, and kept as bytes where it is unknown', () => {
  for (const [kind, data] of [
    ['known', { id: 4 }],
    ['other', Uint8Array.of(1, 2, 3)],
  ] as const) {
    const bytes = encodeAttributes(tables, 'all', { kind, data })
    assert.deepEqual(decodeAttributes(tables, 'all', bytes), { kind, data })
  }
})

test('nests whose types are values are flattened', () => {
  const writer = new AttributeWriter()
  for (const [outer, middle, id] of [
    [3, 1, 11],
    [3, 2, 12],
    [4, 1, 13],
  ] as const) {
    const starts = [23, outer, middle].map((type) => writer.begin(type))
    writer.put(1, Uint8Array.of(id, 0, 0, 0))
    for (const start of starts.reverse()) writer.end(start)
  }
  assert.deepEqual(decodeAttributes(tables, 'all', writer.bytes()), {
    levels: [
      { outer: 3, middle: 1, id: 11 },
      { outer: 3, middle: 2, id: 12 },
      { outer: 4, middle: 1, id: 13 },
    ],
  })
})

test('values are copied out of the message', () => {
  const bytes = encodeAttributes(tables, 'all', {
    binary: Uint8Array.of(1),
    'unknown-attributes': [{ type: 99, value: Uint8Array.of(2) }],
  })
  const values = decodeAttributes(tables, 'all', bytes)
  bytes.fill(0xff)
  assert.deepEqual(values, {
    binary: Uint8Array.of(1),
    'unknown-attributes': [{ type: 99, value: Uint8Array.of(2) }],
  })
})

test('false flags and undefined values are left out', () => {
  assert.equal(encodeAttributes(tables, 'all', { flag: false, u8: undefined }).length, 0)
})

test('mistakes of the caller have a code and name what is there', () => {
  for (const [values, code, message] of [
    [{ nosuch: 1 }, 'NETMEM_INVALID_ARGUMENT', /all has no attribute "nosuch"; it has u8, u16/],
    [{ u8: '1' }, 'NETMEM_INVALID_ARGUMENT', /u8 must be a number, not string/],
    [{ u8: 256 }, 'NETMEM_OUT_OF_RANGE', /u8 must be a whole number of type u8, not 256/],
    [{ u8: 1.5 }, 'NETMEM_OUT_OF_RANGE', /u8/],
    [{ u8: Number.NaN }, 'NETMEM_OUT_OF_RANGE', /u8/],
    [{ s8: -129 }, 'NETMEM_OUT_OF_RANGE', /s8/],
    [{ u64: 2n ** 64n }, 'NETMEM_OUT_OF_RANGE', /u64/],
    [{ uint: -1 }, 'NETMEM_OUT_OF_RANGE', /uint/],
    [{ string: 1 }, 'NETMEM_INVALID_ARGUMENT', /string is a string/],
    [{ binary: [1] }, 'NETMEM_INVALID_ARGUMENT', /binary is a Uint8Array/],
    [{ table: 'x' }, 'NETMEM_INVALID_ARGUMENT', /table is an array/],
    [{ flag: 1 }, 'NETMEM_INVALID_ARGUMENT', /flag is true or false/],
    [{ color: 'pink' }, 'NETMEM_INVALID_ARGUMENT', /color has no value "pink"; it has red/],
    [{ bits: 'one' }, 'NETMEM_INVALID_ARGUMENT', /bits is an array of flags/],
    [{ bits: [64] }, 'NETMEM_INVALID_ARGUMENT', /bits has no bit 64/],
    [{ nest: null }, 'NETMEM_INVALID_ARGUMENT', /inner are an object, not null/],
    [{ many: {} }, 'NETMEM_INVALID_ARGUMENT', /many is an array, not object/],
    [{ array: {} }, 'NETMEM_INVALID_ARGUMENT', /array is an array/],
    [{ levels: [] }, 'NETMEM_INVALID_ARGUMENT', /levels is in replies alone/],
    [{ kind: 'other', data: {} }, 'NETMEM_INVALID_ARGUMENT', /where kind is other/],
    [{ 'unknown-attributes': [1] }, 'NETMEM_INVALID_ARGUMENT', /unknown-attributes/],
    [{ head: { x: 1 } }, 'NETMEM_INVALID_ARGUMENT', /head has no member "x"; it has family, index/],
    [{ binary: new Uint8Array(65532) }, 'NETMEM_OUT_OF_RANGE', /65536 bytes/],
  ] as const) {
    assert.throws(() => encodeAttributes(tables, 'all', values), { code, message })
  }
})

test('values that do not fit their types are malformed', () => {
  for (const [type, length] of [
    [1, 2],
    [3, 8],
    [9, 2],
    [15, 3],
  ] as const) {
    const writer = new AttributeWriter()
    writer.put(type, new Uint8Array(length))
    assert.throws(() => decodeAttributes(tables, 'all', writer.bytes()), {
      code: 'NETMEM_NETLINK_MALFORMED',
    })
  }
})

test('nests without end are malformed', () => {
  let bytes: Uint8Array = new Uint8Array(0)
  for (let depth = 0; depth < 100; depth += 1) {
    const writer = new AttributeWriter()
    writer.put(depth === 99 ? 20 : 2, bytes)
    bytes = writer.bytes()
  }
  assert.throws(() => decodeAttributes(tables, 'all', bytes), { message: /over 16 deep/ })
})

test('a struct is decoded as far as it goes', () => {
  const bytes = encodeStruct(tables, 'head', { family: 2, index: -3 })
  assert.deepEqual([...bytes], [2, 0, 0xfd, 0xff])
  assert.equal(structBytes(tables, 'head'), 4)
  assert.deepEqual(decodeStruct(tables, 'head', bytes), { family: 2, index: -3 })
  assert.deepEqual(decodeStruct(tables, 'head', bytes.subarray(0, 2)), { family: 2 })
})

test('the place that an acknowledgement names has a path', () => {
  const values = { u8: 1, nest: { id: 1, deeper: { id: 2 } } }
  const bytes = encodeAttributes(tables, 'all', values)
  const path = (offset: number) => attributePath(tables, 'all', bytes, offset)
  // u8 takes 8 bytes, the head of the nest 4, its id 8.
  assert.equal(path(0), 'u8')
  assert.equal(path(8), 'nest')
  assert.equal(path(12), 'nest.id')
  assert.equal(path(20), 'nest.deeper')
  assert.equal(path(24), 'nest.deeper.id')
  assert.equal(path(26), 'nest.deeper')
  assert.equal(path(999), undefined)
})

test('random bytes are decoded or malformed, and nothing else', () => {
  const attribute = fc.tuple(fc.nat({ max: 30 }), fc.uint8Array({ maxLength: 24 }))
  const plausible = fc.array(attribute, { maxLength: 6 }).map((attributes) => {
    const writer = new AttributeWriter()
    for (const [type, value] of attributes) writer.put(type, value)
    return writer.bytes()
  })
  let decoded = 0
  fc.assert(
    fc.property(fc.oneof(plausible, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      try {
        decodeAttributes(tables, 'all', bytes)
        decoded += 1
      } catch (error) {
        assert.ok(isNetmemError(error) && error.code === 'NETMEM_NETLINK_MALFORMED', String(error))
      }
    }),
    { numRuns: 3000 },
  )
  assert.ok(decoded > 100, `${decoded} were decoded`)
})
