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
  type OptionNames,
  ownOptions,
} from './errors.ts'
import { assertCode } from './testing/pools.test.helper.ts'

test('errors carry their code, their name and their cause', () => {
  const cause = new Error('below')
  const errors = [
    new HandleError('NETMEM_STALE_HANDLE', 'Too late.'),
    new LifetimeError('NETMEM_BUSY', 'Too early.'),
    new ConnectionError('NETMEM_TIMEOUT', 'Too slow.', { cause }),
  ]
  for (const error of errors) {
    assert.ok(error instanceof NetmemError && error instanceof Error)
    assert.equal(error.name, error.constructor.name)
    assert.ok(isNetmemError(error))
  }
  assert.deepEqual(
    errors.map(({ code, message, cause }) => [code, message, cause]),
    [
      ['NETMEM_STALE_HANDLE', 'Too late.', undefined],
      ['NETMEM_BUSY', 'Too early.', undefined],
      ['NETMEM_TIMEOUT', 'Too slow.', cause],
    ],
  )
  // @ts-expect-error A code belongs to one class.
  new LifetimeError('NETMEM_TIMEOUT', 'Too slow.')
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

interface TestOptions {
  readonly depth?: number
  readonly name?: string
}
const names: OptionNames<TestOptions> = { depth: true, name: true }

test('options are the ones that the caller has set, and no others', () => {
  Object.defineProperty(Object.prototype, 'depth', { value: 9, configurable: true })
  try {
    const own = ownOptions<TestOptions>('f()', { name: 'a' }, names)
    assert.equal(own.depth, undefined)
    assert.equal(own.name, 'a')
    assert.equal(ownOptions<TestOptions>('f()', {}, names).depth, undefined)
  } finally {
    Reflect.deleteProperty(Object.prototype, 'depth')
  }
})

test('options are read once', () => {
  let reads = 0
  const options = {
    get depth() {
      return ++reads
    },
  }
  const own = ownOptions<TestOptions>('f()', options, names)
  assert.deepEqual([own.depth, own.depth, reads], [1, 1, 1])
})

test('an unknown option is named, with those there are', () => {
  const misspelt = { dept: 1 } as TestOptions
  assert.throws(() => ownOptions('f()', misspelt, names), {
    code: 'NETMEM_INVALID_ARGUMENT',
    message: 'f() has no option "dept"; it has depth, name.',
  })
  for (const name of ['__proto__', 'constructor', 'toString']) {
    const odd = Object.fromEntries([[name, 1]]) as TestOptions
    assertCode('NETMEM_INVALID_ARGUMENT', () => ownOptions('f()', odd, names))
  }
  for (const none of [null, undefined, 1, 'x']) {
    const options = none as unknown as TestOptions
    assertCode('NETMEM_INVALID_ARGUMENT', () => ownOptions('f()', options, names))
  }
})
