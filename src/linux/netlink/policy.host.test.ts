import assert from 'node:assert/strict'
import { it } from 'node:test'
import { attributePolicy } from './policy.ts'

it('A policy has the limits of signed numbers, of unsigned ones, of lengths and of bits', () => {
  assert.deepEqual(attributePolicy({ type: 's32', 'min-value-s': -5n, 'max-value-s': 5n }), {
    type: 's32',
    min: -5n,
    max: 5n,
  })
  assert.deepEqual(attributePolicy({ type: 'u32', 'min-value-u': 1n, 'max-value-u': 9n }), {
    type: 'u32',
    min: 1n,
    max: 9n,
  })
  assert.deepEqual(attributePolicy({ type: 'binary', 'min-length': 1, 'max-length': 16 }), {
    type: 'binary',
    minLength: 1,
    maxLength: 16,
  })
  assert.deepEqual(attributePolicy({ type: 'bitfield32', 'bitfield32-mask': 6 }), {
    type: 'bitfield32',
    mask: 6n,
  })
  assert.deepEqual(attributePolicy({}), { type: 'unknown' })
})
