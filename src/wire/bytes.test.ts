import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { getInt32, getUint8, getUint16, setInt32, setUint16 } from './bytes.ts'

const places = fc.tuple(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.nat(8))

test('integers are read as a DataView reads them, at odd places too', () => {
  fc.assert(
    fc.property(places, ([bytes, at]) => {
      const view = new DataView(bytes.buffer)
      assert.equal(getUint8(bytes, at), view.getUint8(at))
      assert.equal(getUint16(bytes, at), view.getUint16(at))
      assert.equal(getInt32(bytes, at), view.getInt32(at))
    }),
  )
})

test('integers are written as a DataView writes them, and no byte beside them', () => {
  const values = fc.oneof(fc.nat(0xffff_ffff), fc.integer())
  fc.assert(
    fc.property(places, values, ([bytes, at], value) => {
      const expected = bytes.slice()
      const view = new DataView(expected.buffer)
      view.setUint16(at, value)
      setUint16(bytes, at, value)
      assert.deepEqual(bytes, expected)
      view.setInt32(at, value)
      setInt32(bytes, at, value)
      assert.deepEqual(bytes, expected)
    }),
  )
})

test('bytes behind the end are 0', () => {
  const bytes = Uint8Array.of(0xff, 0xee)
  assert.deepEqual([getUint8(bytes, 2), getUint16(bytes, 1)], [0, 0xee00])
  assert.equal(getInt32(bytes, 0), 0xffee_0000 | 0)
})
