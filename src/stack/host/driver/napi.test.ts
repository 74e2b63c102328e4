import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createDoorbell } from '../../rings/doorbell.ts'
import { Napi, type Pollable } from './napi.ts'

/** A queue that counts its polls, of which the first finds a packet. */
class CountedQueue implements Pollable {
  polls = 0

  poll(): number {
    return this.polls++ === 0 ? 1 : 0
  }

  interrupt(): undefined {
    return undefined
  }
}

/** Polls of the first queue in each of the first rounds, with the look before a nap. */
async function pollsByRound(queues: number, rounds: number): Promise<number[]> {
  const napi = new Napi(createDoorbell())
  const counted = Array.from({ length: queues }, () => new CountedQueue())
  for (const queue of counted) napi.add(queue)
  napi.start()
  const polls: number[] = []
  let before = 0
  for (let round = 0; round < rounds; round++) {
    await turn()
    const now = counted[0]?.polls ?? 0
    polls.push(now - before)
    before = now
  }
  napi.stop()
  return polls
}

it('a driver polls long behind packets, and shortly once a round has found none', async () => {
  assert.deepEqual(await pollsByRound(1, 4), [4096, 4097, 257, 257])
})

it('many queues are polled no longer together than one', async () => {
  assert.deepEqual(await pollsByRound(8, 3), [512, 513, 257])
  assert.deepEqual(await pollsByRound(32, 3), [256, 257, 257])
})
