import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { hex } from './frames.test.helper.ts'
import { parseTcpOptions, TcpOptions, writeTcpOptions } from './tcp-options.ts'

type Fields = Partial<TcpOptions> & { readonly sack?: readonly number[] }

function optionsOf({ sack = [], ...fields }: Fields): TcpOptions {
  const options = Object.assign(new TcpOptions(), fields, { sackBlocks: sack.length / 2 })
  options.sackEdges.set(sack)
  return options
}

function parse(bytes: Uint8Array): TcpOptions | undefined {
  const options = optionsOf({ windowScale: 3, sack: [9, 9], mssBytes: 9 })
  return parseTcpOptions(bytes, 0, bytes.length, options) ? options : undefined
}

/** Returns the options that are present. Edges of absent blocks have no meaning, and are left out. */
function seen({ sackEdges, ...fields }: TcpOptions): unknown {
  return { ...fields, sack: [...sackEdges.subarray(0, 2 * fields.sackBlocks)] }
}

const timestamps = { hasTimestamps: true, timestamp: 0xa1a2_a3a4 | 0, timestampEcho: 1 }
const syn = { mssBytes: 1460, sackPermitted: true, ...timestamps, windowScale: 7 }
const block = [-16, 16]
const written: [Fields, string][] = [
  [{}, ''],
  [syn, '0204 05b4 0402 080a a1a2a3a4 00000001 01 0303 07'],
  [{ mssBytes: 1460, sackPermitted: true }, '0204 05b4 0402 0101'],
  [timestamps, '0101 080a a1a2a3a4 00000001'],
  [{ windowScale: 0 }, '01 0303 00'],
  [{ sack: block }, '0101 050a fffffff0 00000010'],
  [
    { ...timestamps, sack: [...block, ...block, ...block] },
    `0101 080a a1a2a3a4 00000001 0101 051a ${'fffffff0 00000010'.repeat(3)}`,
  ],
  [
    { sack: [...block, ...block, ...block, ...block] },
    `0101 0522 ${'fffffff0 00000010'.repeat(4)}`,
  ],
]

test('options are written as Linux writes them, and read back', () => {
  for (const [fields, text] of written) {
    const bytes = new Uint8Array(44).fill(0xee)
    const options = optionsOf(fields)
    const length = writeTcpOptions(bytes, 2, options)
    assert.deepEqual(bytes.subarray(2, 2 + length), hex(text))
    assert.ok(bytes.subarray(2 + length).every((byte) => byte === 0xee))
    assert.deepEqual(seen(parse(hex(text)) ?? assert.fail()), seen(options))
  }
})

test('parsing written options gives the same options', () => {
  const any = fc.record({
    mssBytes: fc.nat(0xffff),
    windowScale: fc.integer({ min: -1, max: 14 }),
    sackPermitted: fc.boolean(),
    timestamps: fc.option(fc.tuple(fc.integer(), fc.integer())),
    blocks: fc.nat(4),
    edges: fc.array(fc.integer(), { minLength: 8, maxLength: 8 }),
  })
  fc.assert(
    fc.property(any, ({ timestamps, blocks, edges, ...fields }) => {
      const options = optionsOf({ ...fields, sack: edges.slice(0, 2 * blocks) })
      options.hasTimestamps = timestamps !== null
      options.timestamp = timestamps?.[0] ?? 0
      options.timestampEcho = timestamps?.[1] ?? 0
      const bytes = new Uint8Array(40)
      let length = 0
      try {
        length = writeTcpOptions(bytes, 0, options)
      } catch (error) {
        assert.ok(error instanceof RangeError)
        assert.deepEqual(bytes, new Uint8Array(40))
        return
      }
      assert.equal(length % 4, 0)
      assert.deepEqual(seen(parse(bytes.subarray(0, length)) ?? assert.fail()), seen(options))
    }),
  )
})

test('options in any order are read, and unknown ones skipped, up to the end of options', () => {
  // Experiment 253, timestamps, no operation, MSS, end, and nothing that is looked at.
  const read = parse(hex('fd 05 f989 01  080a 00000001 00000002  01  0204 2300  00  0309'))
  assert.deepEqual(
    seen(read ?? assert.fail()),
    seen(
      optionsOf({
        mssBytes: 0x2300,
        hasTimestamps: true,
        timestamp: 1,
        timestampEcho: 2,
      }),
    ),
  )
  // RFC 7323, 2.3: a larger shift counts as 14.
  assert.equal(parse(hex('0303 ff'))?.windowScale, 14)
})

test('options with a wrong length are refused', () => {
  for (const text of [
    '02',
    '02 00',
    'fd 01',
    '02 04 05',
    '0203 05',
    '0205 05b4 00',
    '0302',
    '0304 07 00',
    '0403 00',
    '0809 00000000 000000',
    '080b 00000000 00000000 00',
    '0502',
    '0506 00000000',
    '0509 00000000 000000',
    `052a ${'00000000 00000000'.repeat(5)}`,
    'fd 06 000000',
  ]) {
    assert.equal(parse(hex(text)), undefined, text)
  }
})

test('any bytes are read or refused, and none beside them are looked at', () => {
  const kinds = fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 253)
  const option = fc
    .tuple(fc.oneof(kinds, fc.nat(255)), fc.oneof(fc.nat(12), fc.nat(255)), fc.uint8Array())
    .map(([kind, length, data]) => [kind, length, ...data])
  const any = fc.array(option, { maxLength: 5 }).map((options) => options.flat().slice(0, 40))
  fc.assert(
    fc.property(any, (list) => {
      const bytes = Uint8Array.from(list)
      const guarded = new Proxy(bytes, {
        get(target, property) {
          const at = Number(property)
          if (!Number.isNaN(at)) assert.ok(at >= 0 && at < bytes.length, `read byte ${at}`)
          return Reflect.get(target, property, target)
        },
      })
      const options = new TcpOptions()
      parseTcpOptions(guarded, 0, bytes.length, options)
      assert.ok(options.sackBlocks <= 4 && options.windowScale <= 14)
    }),
    { numRuns: 1000 },
  )
})
