// Every state with every event: the table of how a connection stands.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOf, isOver, next, type SocketEvent, type SocketState } from './connection-state.ts'

const first = new Error('first')
const error = new Error('an error')

const states = {
  open: { kind: 'open' },
  ending: { kind: 'ending' },
  ended: { kind: 'ended' },
  closed: { kind: 'closed' },
  failed: { kind: 'failed', error: first },
} as const satisfies { readonly [name: string]: SocketState }

const events = {
  endRead: { kind: 'endRead' },
  peerEnded: { kind: 'peerEnded' },
  failed: { kind: 'failed', error },
  closed: { kind: 'closed' },
} as const satisfies { readonly [name: string]: SocketEvent }

const broken: SocketState = { kind: 'failed', error }

/** A row for each state, in the order of the events. */
const table: { readonly [from in keyof typeof states]: readonly SocketState[] } = {
  open: [states.ending, states.ended, broken, states.closed],
  ending: [states.ending, states.ended, broken, states.closed],
  ended: [states.ended, states.ended, broken, states.closed],
  closed: Array(4).fill(states.closed),
  failed: Array(4).fill(states.failed),
}

for (const [from, row] of Object.entries(table)) {
  for (const [at, [name, event]] of Object.entries(events).entries()) {
    test(`${from}, ${name}`, () => {
      const state = states[from as keyof typeof states]
      assert.deepEqual(next(state, event), row[at])
      assert.deepEqual(state, states[from as keyof typeof states], 'the state itself stays')
    })
  }
}

test('the end of the stream is read off the state', () => {
  assert.deepEqual(
    Object.values(states).map((state) => isOver(state)),
    [false, false, true, true, true],
  )
  assert.equal(endOf(states.ended), undefined)
  assert.equal(endOf(states.failed), first)
  assert.equal(Reflect.get(endOf(states.closed) ?? {}, 'code'), 'NETMEM_CONNECTION_CLOSED')
})
