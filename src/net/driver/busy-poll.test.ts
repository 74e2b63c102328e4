// The event loop stays awake after a large read, and not for long.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextRound } from 'node:timers/promises'
import { busyPoll } from './busy-poll.ts'

/** Rounds of the event loop for which something other than this test keeps it awake. */
async function roundsAwake(most: number): Promise<number> {
  for (let rounds = 0; rounds < most; rounds++) {
    if (!process.getActiveResourcesInfo().includes('Immediate')) return rounds
    await nextRound()
  }
  return most
}

test('keeps the event loop awake for a few rounds, and then lets it sleep', async () => {
  assert.equal(await roundsAwake(100), 0)
  busyPoll()
  assert.equal(await roundsAwake(100), 8)
})

test('begins anew with every read, and polls once for all of them', async () => {
  busyPoll()
  await nextRound()
  await nextRound()
  busyPoll()
  busyPoll()
  assert.equal(await roundsAwake(100), 8)
})
