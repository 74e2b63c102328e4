import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ConnectionError } from '../../errors.ts'
import { Deadline } from './deadline.ts'

const never = new AbortController().signal
const timedOut = new ConnectionError('NETMEM_TIMEOUT', 'nothing for 25000 ms')
const reset = new ConnectionError('NETMEM_CONNECTION_RESET', 'gone')

function withClock(): {
  readonly deadline: Deadline
  readonly fails: (error: Error, at: number, delayMs?: number) => void
  readonly hears: (at: number) => void
} {
  let now = 0
  const deadline = new Deadline(never, undefined, () => now)
  return {
    deadline,
    fails: (error, at, delayMs = 500) => {
      now = at
      deadline.onRetry({ kind: 'retry', error, attempt: 2, delayMs })
    },
    hears: (at) => {
      now = at
      deadline.heard()
    },
  }
}

describe('the deadline of a download', () => {
  it('is within a minute where a server accepts and says nothing', () => {
    const { deadline, fails } = withClock()
    fails(timedOut, 25_000)
    assert.ok(!deadline.signal.aborted, 'it may have been an accident')
    fails(timedOut, 50_500)
    assert.ok(deadline.signal.aborted)
    assert.equal(deadline.reason, timedOut)
  })

  it('is within a minute of the last byte', () => {
    const { deadline, fails, hears } = withClock()
    hears(600_000)
    fails(timedOut, 625_000)
    fails(timedOut, 635_500)
    assert.ok(deadline.signal.aborted)
  })

  it('is not near while bytes come, or the server answers', () => {
    const { deadline, fails, hears } = withClock()
    for (let at = 0; at < 1_000_000; at += 50_000) {
      hears(at)
      fails(timedOut, at + 25_000)
    }
    for (let at = 1_000_000; at < 2_000_000; at += 50_000) fails(reset, at, 40_000)
    fails(timedOut, 2_000_000)
    assert.ok(!deadline.signal.aborted)
    assert.equal(deadline.reason, undefined)
  })

  it('is that of the command, too', () => {
    const command = new AbortController()
    const deadline = new Deadline(command.signal, 3_600_000)
    command.abort()
    assert.ok(deadline.signal.aborted)
    assert.equal(deadline.reason, undefined)
    deadline.end()
  })
})
