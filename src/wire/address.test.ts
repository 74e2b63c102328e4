import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { formatAddress, formatMac, parseAddress, parseMac } from './address.ts'

const outside = { name: 'RangeError', code: 'NETMEM_OUT_OF_RANGE' }

describe('addresses', () => {
  it('are written as RFC 5952 recommends', () => {
    for (const [text, canonical] of [
      ['192.0.2.1', '192.0.2.1'],
      // The examples of its sections 4.1, 4.2.1, 4.2.2, 4.2.3, 4.3 and 5.
      ['2001:0db8::0001', '2001:db8::1'],
      ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
      ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
      ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['2001:DB8::AbCd', '2001:db8::abcd'],
      ['0:0:0:0:0:ffff:192.0.2.1', '::ffff:192.0.2.1'],
      ['::', '::'],
      ['1::', '1::'],
      ['::1.2.3.4', '::102:304'],
    ] as const) {
      assert.equal(formatAddress(parseAddress(text)), canonical)
    }
  })

  it('come back as they were', () => {
    const group = fc.oneof(fc.constant(0), fc.nat(0xffff))
    const ipv6 = fc
      .array(group, { minLength: 8, maxLength: 8 })
      .map((groups) => Uint8Array.from(groups.flatMap((value) => [value >> 8, value])))
    const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), fc.nat(5), (address, offset) => {
        const text = formatAddress(address)
        assert.equal(isIP(text), address.length === 4 ? 4 : 6)
        assert.deepEqual(parseAddress(text), address)
        assert.deepEqual(parseAddress(text.toUpperCase()), address)
        const around = Uint8Array.from([...new Array<number>(offset).fill(9), ...address, 9])
        assert.equal(formatAddress(around, offset, address.length), text)
        // The URL standard compresses as RFC 5952 does, and never ends in an IPv4 address.
        if (address.length === 16 && !text.includes('.')) {
          assert.equal(new URL(`http://[${text}]`).hostname, `[${text}]`)
        }
      }),
    )
  })

  it('are refused exactly where Node refuses them', () => {
    const part = fc.constantFrom('0', '1', '00', 'ffff', 'f', '1.2.3.4', '12345', '256', ':', '')
    const text = fc.oneof(
      fc.array(part, { maxLength: 10 }).map((parts) => parts.join(':')),
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.')),
      fc.string(),
    )
    fc.assert(
      fc.property(text, (text) => {
        if (isIP(text) !== 0 && !text.includes('%')) parseAddress(text)
        else assert.throws(() => parseAddress(text), outside, text)
      }),
      { numRuns: 2000 },
    )
  })

  it('have 4 or 16 bytes', () => {
    for (const bytes of [0, 3, 5, 15, 17]) {
      assert.throws(() => formatAddress(new Uint8Array(bytes)), outside)
    }
    assert.throws(() => formatAddress(new Uint8Array(10), 8, 4), outside)
    assert.throws(() => formatAddress(new Uint8Array(10), -1, 4), outside)
  })
})

describe('MAC addresses', () => {
  it('come back as they were', () => {
    assert.equal(formatMac(Uint8Array.of(2, 0, 0x5e, 0x10, 0, 0xff)), '02:00:5e:10:00:ff')
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        assert.deepEqual(parseMac(formatMac(mac)), mac)
        assert.deepEqual(parseMac(formatMac(mac).toUpperCase()), mac)
        assert.equal(formatMac(Uint8Array.from([1, ...mac, 1]), 1), formatMac(mac))
      }),
    )
  })

  it('are refused in other forms', () => {
    for (const text of [
      '',
      '02:00:5e:10:00',
      '2:0:0:0:0:1',
      '02-00-5e-10-00-01',
      'g2:00:00:00:00:01',
    ]) {
      assert.throws(() => parseMac(text), outside)
    }
    assert.throws(() => formatMac(new Uint8Array(5)), outside)
    assert.throws(() => formatMac(new Uint8Array(6), 1), outside)
  })
})
