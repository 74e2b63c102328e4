import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { exactSize, parseSize, roughRate, roughSize } from './size.ts'

describe('sizes', () => {
  it('are read in both kinds of units', () => {
    const sizes = {
      '0': 0,
      '17': 17,
      '17B': 17,
      '64KiB': 65_536,
      '64kB': 64_000,
      '64KB': 64_000,
      '1.5MiB': 1_572_864,
      '0.1GB': 100_000_000,
      '2GB': 2e9,
      '2GiB': 2 ** 31,
      '8TiB': 2 ** 43,
      '1TB': 1e12,
      '9007199254740991': Number.MAX_SAFE_INTEGER,
    }
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text)
  })

  it('are refused, and it says why', () => {
    const refusals = [
      ['64K', /64KiB \(1024-based\) or 64KB \(1000-based\)/],
      ['64kib', /64KiB/],
      ['2Gb', /2GiB/],
      ['2XB', /'XB' in '2XB' is no unit/],
      ['0.3KiB', /not a whole number of bytes/],
      ['1.5', /not a whole number of bytes/],
      ['9007199254740992', /more than 2\^53/],
      ['9000TiB', /more than 2\^53/],
      ['', /no size/],
      ['-1', /no size/],
      ['1 MiB', /no size/],
      ['1e3', /no size|no unit/],
      ['.5MiB', /no size/],
      ['1.MiB', /no size/],
      ['0x10', /no size|no unit/],
      ['1,5MiB', /no size/],
      ['１MiB', /no size/],
      ['Infinity', /no size/],
    ] as const
    for (const [text, message] of refusals) {
      assert.throws(() => parseSize(text), { name: 'RangeError', message }, text)
    }
  })

  it('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        assert.equal(parseSize(exactSize(bytes)), bytes)
      }),
    )
  })

  it('are exactly what arithmetic says, or refused', () => {
    const units = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, kB: 1e3, MB: 1e6, GB: 1e9 }
    const unit = fc.constantFrom(...Object.entries(units))
    fc.assert(
      fc.property(fc.nat(9_999), fc.nat(999), unit, (whole, thousandths, [name, factor]) => {
        const text = `${whole}.${String(thousandths).padStart(3, '0')}${name}`
        const thousandthsOfBytes = BigInt(whole * 1_000 + thousandths) * BigInt(factor)
        if (thousandthsOfBytes % 1_000n === 0n) {
          assert.equal(parseSize(text), Number(thousandthsOfBytes / 1_000n))
        } else {
          assert.throws(() => parseSize(text), /whole number/)
        }
      }),
    )
  })

  it('are a whole number or refused, for every text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          assert.ok(Number.isSafeInteger(parseSize(text)))
        } catch (error) {
          assert.ok(error instanceof RangeError)
        }
      }),
    )
  })

  it('are shown roughly', () => {
    assert.deepEqual([0, 1023, 1536, 2 ** 31, 15.04 * 2 ** 20].map(roughSize), [
      '0 B',
      '1023 B',
      '1.50 KiB',
      '2.00 GiB',
      '15.0 MiB',
    ])
    assert.equal(roughRate(2.11e9, 1), '2.11 GB/s')
    assert.equal(roughRate(5e6, 10), '500 kB/s')
    assert.equal(roughRate(5, 0), '0 B/s')
  })
})
