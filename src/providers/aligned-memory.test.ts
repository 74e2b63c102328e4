import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alignedBuffer, alignedSharedBuffer } from './aligned-memory.ts'

const GIB = 2 ** 30

test('there is at least as much memory as was asked for, of the kind that was asked for', () => {
  for (const bytes of [1, 4096, 65_536, 65_537, 16 * 2 ** 20]) {
    const plain = alignedBuffer(bytes)
    assert.ok(plain instanceof ArrayBuffer && plain.byteLength >= bytes)
    const shared = alignedSharedBuffer(bytes)
    assert.ok(shared instanceof SharedArrayBuffer && shared.byteLength >= bytes)
  }
})

test('what WebAssembly cannot have is plain memory', () => {
  assert.equal(alignedBuffer(5 * GIB).byteLength, 5 * GIB)
  assert.equal(alignedSharedBuffer(5 * GIB).byteLength, 5 * GIB)
})

test('more memory than there is throws', () => {
  assert.throws(() => alignedBuffer(2 ** 52), RangeError)
  assert.throws(() => alignedSharedBuffer(2 ** 52), RangeError)
})
