import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ConnectionError,
  checkInteger,
  HandleError,
  isNetmemError,
  LifetimeError,
  NetmemError,
} from './errors.ts'
import { assertCode } from './testing/pools.test.helper.ts'

test('errors carry their code, their name and their cause', () => {
  const cause = new Error('below')
  for (const Class of [HandleError, LifetimeError, ConnectionError]) {
    const error = new Class('NETMEM_TIMEOUT', 'Too late.', { cause })
    assert.ok(error instanceof NetmemError && error instanceof Error)
    assert.equal(error.code, 'NETMEM_TIMEOUT')
    assert.equal(error.name, Class.name)
    assert.equal(error.message, 'Too late.')
    assert.equal(error.cause, cause)
    assert.ok(isNetmemError(error))
  }
})

test('mistakes of the caller are TypeErrors and RangeErrors', () => {
  const wrongType = new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', 'A string.')
  const wrongValue = new ArgumentRangeError('NETMEM_OUT_OF_RANGE', 'Too large.')
  assert.ok(wrongType instanceof TypeError && wrongType.code === 'NETMEM_INVALID_ARGUMENT')
  assert.ok(wrongValue instanceof RangeError && wrongValue.code === 'NETMEM_OUT_OF_RANGE')
  assert.ok(isNetmemError(wrongType) && isNetmemError(wrongValue))
})

test('nothing else is an error of netmem', () => {
  const others = [
    new Error('other'),
    new TypeError(),
    { code: 'NETMEM_TIMEOUT' },
    null,
    undefined,
    1,
  ]
  for (const other of others) assert.ok(!isNetmemError(other))
})

test('checkInteger lets whole numbers of its range through, and no other', () => {
  for (const value of [1, 2, 10]) assert.equal(checkInteger('n', value, 1, 10), value)
  for (const value of [0, 11, 1.5, Number.NaN, Number.POSITIVE_INFINITY, -1, 2 ** 53]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => checkInteger('n', value, 1, 10))
  }
  for (const value of [undefined, null, '1', 1n, {}, [1], true, Symbol('1')]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => checkInteger('n', value, 1, 10))
  }
  assert.throws(() => checkInteger('pages', 0, 1, 10), /pages .* 1 to 10, not 0/)
})
