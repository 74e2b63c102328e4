import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import { formatAddress } from './address.ts'
import { type FlowMatch, insertion, locationsOf, ruleOf, rxnfc, tableOf } from './flow-rules.ts'

const hexAt = (bytes: Uint8Array, from: number, length: number) =>
  Buffer.from(bytes.subarray(from, from + length)).toString('hex')

test('a rule is laid out as the kernel takes it', () => {
  const bytes = insertion(
    {
      type: 'tcp4',
      sourceAddress: '192.0.2.1',
      destinationPort: 5201,
    },
    { queue: 3 },
    63,
  )
  assert.equal(bytes.length, 192)
  assert.equal(hexAt(bytes, 0, 4), '32000000', 'command')
  assert.equal(hexAt(bytes, 16, 4), '01000000', 'type')
  assert.equal(hexAt(bytes, 20, 12), 'c0000201' + '00000000' + '0000' + '1451', 'values')
  assert.equal(hexAt(bytes, 92, 12), 'ffffffff' + '00000000' + '0000' + 'ffff', 'masks')
  assert.equal(hexAt(bytes, 168, 8), '0300000000000000', 'queue')
  assert.equal(hexAt(bytes, 176, 4), '3f000000', 'location')
})

test('a rule for an RSS context has its flag', () => {
  const bytes = insertion({ type: 'udp6', sourcePort: 53 }, { rssContext: 7 }, 0)
  assert.equal(hexAt(bytes, 16, 4), '06000020')
  assert.equal(hexAt(bytes, 168, 8), '0000000000000000')
  assert.equal(hexAt(bytes, 184, 4), '07000000')
})

test('a rule that is written is read', () => {
  const four = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => formatAddress(bytes))
  const six = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatAddress(bytes))
  const port = fc.nat({ max: 65535 })
  const match = (types: readonly FlowMatch['type'][], address: fc.Arbitrary<string>) =>
    fc.record(
      {
        type: fc.constantFrom(...types),
        sourceAddress: address,
        destinationAddress: address,
        sourcePort: port,
        destinationPort: port,
      },
      { requiredKeys: ['type'], noNullPrototype: true },
    )
  const target = fc.oneof(
    fc.record({ queue: fc.nat({ max: 1023 }) }, { noNullPrototype: true }),
    fc.record({ rssContext: fc.integer({ min: 1, max: 99 }) }, { noNullPrototype: true }),
  )
  fc.assert(
    fc.property(
      fc.oneof(match(['tcp4', 'udp4'], four), match(['tcp6', 'udp6'], six)),
      target,
      fc.nat({ max: 2 ** 31 - 1 }),
      (flow, to, location) => {
        assert.deepEqual(ruleOf(insertion(flow, to, location)), { ...flow, ...to, location })
      },
    ),
  )
})

test('a rule with more than a FlowRule can say is left out', () => {
  const change = (at: number, value: number) => {
    const bytes = insertion(
      { type: 'tcp4', sourceAddress: '192.0.2.1', sourcePort: 1 },
      { queue: 0 },
      0,
    )
    bytes[at] = value
    return ruleOf(bytes)
  }
  assert.notEqual(change(0, 0), undefined)
  assert.equal(change(16, 0x10), undefined, 'another type')
  assert.equal(change(19, 0x80), undefined, 'VLAN')
  assert.equal(change(19, 0x40), undefined, 'MAC')
  assert.equal(change(95, 0), undefined, 'an address in part')
  assert.equal(change(100, 0), undefined, 'a port in part')
  assert.equal(change(104, 0xff), undefined, 'type of service')
  const dropped = insertion({ type: 'tcp4' }, { queue: 0 }, 4)
  dropped.fill(0xff, 168, 176)
  assert.deepEqual(ruleOf(dropped), { type: 'tcp4', location: 4 })
})

test('an address of the other version is refused', () => {
  for (const [type, sourceAddress] of [
    ['tcp4', '2001:db8::1'],
    ['tcp6', '192.0.2.1'],
    ['tcp4', 'localhost'],
  ] as const) {
    assert.throws(() => insertion({ type, sourceAddress }, { queue: 0 }, 0), {
      code: 'NETMEM_OUT_OF_RANGE',
    })
  }
})

test('the table says how large it is, and locations are never read beyond it', () => {
  const bytes = rxnfc(0x30, 0, 3)
  assert.equal(bytes.length, 200)
  const view = new DataView(bytes.buffer)
  view.setUint32(8, 64, true)
  assert.deepEqual(tableOf(bytes), { rules: 3, places: 64, choosesLocation: false })
  view.setUint32(8, 0x80000000 + 8, true)
  assert.deepEqual(tableOf(bytes), { rules: 3, places: 8, choosesLocation: true })
  for (const [at, location] of [5, 6, 7].entries()) view.setUint32(188 + 4 * at, location, true)
  assert.deepEqual(locationsOf(bytes), [5, 6, 7])
  view.setUint32(184, 0xffffffff, true)
  assert.deepEqual(locationsOf(bytes), [5, 6, 7])
})
