import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Interrupts } from './interrupts.ts'

const ENABLE = 1
const CLEAR_PENDING = 2
const KEEP_INTERVAL = 3 << 3

function recorded(count = 4) {
  const fired: number[] = []
  return { fired, interrupts: new Interrupts(count, (vector) => fired.push(vector)) }
}

test('an armed block fires once, and is disarmed by it', () => {
  const { fired, interrupts } = recorded()
  interrupts.ring(2, ENABLE)
  interrupts.raise(2)
  interrupts.raise(2)
  assert.deepEqual(fired, [2])
  assert.equal(interrupts.fired, 1)
})

test('an event of a disarmed block fires when the block is armed, once', () => {
  const { fired, interrupts } = recorded()
  interrupts.raise(1)
  interrupts.raise(1)
  interrupts.ring(0, ENABLE)
  assert.deepEqual(fired, [])
  interrupts.ring(1, ENABLE | KEEP_INTERVAL)
  assert.deepEqual(fired, [1])
  interrupts.ring(1, ENABLE | KEEP_INTERVAL)
  assert.deepEqual(fired, [1])
})

test('a driver may drop what is pending, and names an interval without arming', () => {
  const { fired, interrupts } = recorded()
  interrupts.raise(1)
  interrupts.ring(1, ENABLE | CLEAR_PENDING)
  assert.deepEqual(fired, [])
  interrupts.ring(3, 25 << 5)
  interrupts.raise(3)
  assert.deepEqual(fired, [])
})

test('the management vector is the last or the first, and needs no arming', () => {
  const { fired, interrupts } = recorded()
  interrupts.raiseManagement()
  interrupts.place(1)
  interrupts.raiseManagement()
  interrupts.ring(0, ENABLE)
  interrupts.raise(0)
  assert.deepEqual(fired, [4, 0, 1])
  interrupts.raise(2)
  interrupts.reset()
  interrupts.ring(2, ENABLE)
  assert.deepEqual(fired, [4, 0, 1], 'a reset forgets what is pending')
})
