import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixedMemory, fixedSharedMemory } from '../../providers/aligned-memory.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { resizable } from '../../testing/resizable.test.helper.ts'
import { recordMemory } from './record-memory.ts'

const RECORD = 16 * 1024

test('a record lies where its destination does modulo 128, as far as its buffer tells', () => {
  const mapped = [
    some(fixedMemory(RECORD)).buffer,
    some(fixedSharedMemory(RECORD)).buffer,
    resizable(RECORD, RECORD),
  ]
  for (const buffer of mapped) assert.equal(recordMemory(buffer, 300).byteOffset, 300 % 128)
  for (const buffer of [new ArrayBuffer(RECORD), new SharedArrayBuffer(RECORD)]) {
    assert.equal(recordMemory(buffer, 300).byteOffset, 316 % 128)
  }
  assert.equal(recordMemory(new ArrayBuffer(1), 0).byteLength, RECORD)
})

test('records of one transfer share a view', () => {
  const buffer = new ArrayBuffer(8 * RECORD)
  assert.equal(recordMemory(buffer, 0), recordMemory(buffer, RECORD))
})
