// Reads that another one follows before JavaScript runs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FullReads } from './full-reads.ts'

test('a full read is followed by another, a short one is not, and neither is one that found nothing', () => {
  const reads = new FullReads()
  assert.ok(!reads.readsOn, 'before the first')
  reads.posted(100)
  reads.arrived(100)
  assert.ok(reads.readsOn)
  reads.arrived(99)
  assert.ok(!reads.readsOn)
  reads.arrived(100)
  reads.drained()
  assert.ok(!reads.readsOn)
})

test('32 full reads end a turn, and what follows in the next one counts anew', async () => {
  const reads = new FullReads()
  reads.posted(100)
  for (let read = 1; read < 32; read++) {
    reads.arrived(100)
    assert.ok(reads.readsOn, `read ${read}`)
  }
  // Reads of one turn stay too many until another turn is seen.
  for (let read = 32; read < 70; read++) {
    reads.arrived(100)
    assert.ok(!reads.readsOn, `read ${read}`)
  }
  await nextTurn()
  await nextTurn()
  reads.arrived(100)
  assert.ok(reads.readsOn)
})
