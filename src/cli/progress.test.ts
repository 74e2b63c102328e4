import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeProgress } from './progress.ts'

describe('a line of progress', () => {
  const recent = { bytes: 1e9, seconds: 2 }

  it('has amount, rate, share, time left and a bar', () => {
    assert.equal(
      describeProgress('sent', 2 ** 30, 2 ** 32, recent, 66),
      'sent  1.00 GiB  500 MB/s  25 %  00:07 left  [#####               ]',
    )
    assert.match(describeProgress('sent', 0, 1e13, recent, 200), /5:33:20 left {2}\[ {40}\]$/)
  })

  it('has less where less is known', () => {
    const unknown = describeProgress('sent', 2 ** 30, undefined, recent, 80)
    assert.equal(unknown, 'sent  1.00 GiB  500 MB/s')
    const stalled = { bytes: 0, seconds: 1 }
    assert.equal(
      describeProgress('sent', 512, 1_024, stalled, 44),
      'sent  512 B  0 B/s  50 %  [########        ]',
    )
  })

  it('fits the terminal, the bar as far as there is room', () => {
    const long = '/a/path/of/many/names/to/model.safetensors'
    for (let columns = 58; columns < 120; columns++) {
      const line = describeProgress(long, 2 ** 30, 2 ** 32, recent, columns)
      assert.match(line, /^…o\/model\.safetensors {2}1\.00 GiB/)
      assert.equal(line.includes('['), columns >= 67, line)
      assert.ok(line.length <= columns, line)
    }
  })

  it('never says more than everything', () => {
    const line = describeProgress('received', 300, 200, recent, 66)
    assert.match(line, / 100 % {2}00:00 left {2}\[#+\]$/)
  })
})
