import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeProgress } from './progress.ts'

describe('a line of progress', () => {
  const recent = { bytes: 1e9, seconds: 2 }

  it('has amount, rate, share, time left and a bar', () => {
    assert.equal(
      describeProgress('sent', 2 ** 30, 2 ** 32, recent),
      'sent  1.00 GiB  500 MB/s  25 %  00:07 left  [#####               ]',
    )
    assert.match(describeProgress('sent', 0, 1e13, recent), /5:33:20 left {2}\[ {20}\]$/)
  })

  it('has less where less is known', () => {
    assert.equal(describeProgress('sent', 2 ** 30, undefined, recent), 'sent  1.00 GiB  500 MB/s')
    const stalled = { bytes: 0, seconds: 1 }
    assert.equal(
      describeProgress('sent', 512, 1_024, stalled),
      'sent  512 B  0 B/s  50 %  [##########          ]',
    )
  })

  it('never says more than everything', () => {
    assert.match(
      describeProgress('received', 300, 200, recent),
      / 100 % {2}00:00 left {2}\[#{20}\]$/,
    )
  })
})
