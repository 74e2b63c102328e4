import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordMemory } from './record-memory.ts'

test('records into a buffer are timed once, however many transfers go to it', () => {
  const buffer = new ArrayBuffer(64 * 1024)
  const memory = recordMemory(buffer)
  const to = new Uint8Array(buffer)
  for (let record = 0; record < 16; record++) {
    const at = (record % 4) * 16 * 1024
    // A destination of its own for each four records.
    const from = recordMemory(buffer).post(at)
    from.fill(record + 1)
    recordMemory(buffer).copy(from, to, at)
    assert.equal(to[at], record + 1)
  }
  assert.equal(recordMemory(buffer), memory)
  assert.notEqual(recordMemory(new ArrayBuffer(1)), memory)
})
