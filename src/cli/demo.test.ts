import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

import { until } from '../testing/waiting.test.helper.ts'
import { inside, jsonOf, netmem, run, runInTurn } from './cli.test.helper.ts'
import { median, table } from './demo/table.ts'

describe('netmem demo', () => {
  it('measures three receivers, each of which has every byte right', async () => {
    const ended = await run(['demo', '--bytes', '64MiB', '--rounds', '2', '--json'])
    const report = jsonOf(ended)
    assert.deepEqual([ended.code, report['verified'], ended.err], [0, true, ''])
    const receivers = inside(report, 'receivers')
    assert.deepEqual(Object.keys(receivers), ['data', 'pool', 'into'])
    for (const name of Object.keys(receivers)) {
      const { rounds, ...figures } = inside(receivers, name)
      assert.ok(Array.isArray(rounds) && rounds.length === 2)
      for (const { bytes, peakBytes, baseBytes } of rounds) {
        assert.equal(bytes, 64 * 2 ** 20)
        assert.ok(peakBytes >= baseBytes && baseBytes > 2 ** 20)
      }
      assert.ok(Object.values(figures).every((figure) => Number(figure) >= 0))
    }
    assert.equal(inside(inside(report, 'ratios'), 'data')['gigabytesPerSecond'], 1)
  })

  it('prints a table, and more with --concat', async () => {
    const args = ['--bytes', '16MiB', '--rounds', '1', '--destination', '1MiB', '--concat']
    const { code, out } = await run(['demo', ...args])
    assert.equal(code, 0)
    for (const row of [
      /^Node `data` events +[\d.]+ +1\.00 /m,
      /^page pool, `for await` +[\d.]+ /m,
      /^receiveInto, 1MiB reused +[\d.]+ /m,
      /^chunks kept, Buffer\.concat +[\d.]+ /m,
      /^receiveInto, one of 16MiB +[\d.]+ /m,
      /^counters of receiver pool: alloc fast \d+, .* out 0; copied \d+$/m,
    ]) {
      assert.match(out.toString(), row)
    }
    assert.doesNotMatch(out.toString(), /alloc fast 0, slow 0, refill 0/, 'a pool that is not used')
    assert.match(out.toString(), /; rounds: 1; (netmem with|without) wakeBatching/)
  })

  it('fails when a byte is wrong', async () => {
    const args = ['--bytes', '8MiB', '--rounds', '1', '--corrupt', '5MB', '--json']
    const ended = await run(['demo', ...args])
    assert.equal(ended.code, 1)
    assert.equal(inside(jsonOf(ended), 'error')['code'], 'WRONG_DATA')
    assert.match(ended.err, /^netmem: WRONG_DATA: Byte 5000000 was received wrong/)
    const last = ['--bytes', '1MiB', '--rounds', '1', '--corrupt', `${2 ** 20 - 1}`]
    const { code, err } = await run(['demo', ...last])
    assert.equal(code, 1)
    assert.match(err, /^netmem: WRONG_DATA: Byte 1048575 was received wrong/)
  })

  it('ends at SIGINT with what it has, and leaves no process', async () => {
    const demo = netmem('demo', '--bytes', '64MiB', '--rounds', '99')
    await demo.prints(/rounds: 99/)
    const children = `/proc/${demo.child.pid}/task/${demo.child.pid}/children`
    if (existsSync(children)) {
      await until(() => readFileSync(children, 'utf8').trim().includes(' '), 'it has two processes')
    }
    demo.child.kill('SIGINT')
    // The demo's processes share its stdout: this also waits for them.
    const { code, out, err } = await demo.ended
    assert.deepEqual([code, err], [130, ''])
    assert.match(out.toString(), /^ +GB\/s |^Interrupted before anything was measured\.$/m)
  })

  it('refuses what cannot be', async () => {
    const wrong = [
      [['--pool', '1KiB'], /^netmem: USAGE: --pool 1KiB holds no page/],
      [
        ['--bytes', '1MiB', '--corrupt', '1MiB'],
        /--corrupt 1MiB is beyond the last of --bytes 1MiB/,
      ],
      [['--corrupt', '-1'], /USAGE: .*'-1' is no size/],
    ] as const
    const ends = await runInTurn(wrong.map(([args]) => ['demo', ...args]))
    for (const [at, { code, err }] of ends.entries()) {
      assert.equal(code, 2)
      assert.match(err, wrong[at]?.[1] ?? /^$/)
    }
  })
})

describe('the table', () => {
  it('has medians, and ratios to its first row', () => {
    assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3]), median([])], [2, 2.5, NaN])
    const figures = {
      gigabytesPerSecond: 2,
      cpuSecondsPerGigabyte: 0.5,
      peakMiB: 100,
      baseMiB: 60,
      majorCollections: 1,
      minorCollections: 30,
    }
    const few = table([{ title: 'few', figures: { ...figures, gigabytesPerSecond: 0.0031 } }])
    assert.match(few[1] ?? '', /^few +0\.0031 +1\.00 /)
    const half = { ...figures, gigabytesPerSecond: 1, cpuSecondsPerGigabyte: 0.75 }
    const lines = table([
      { title: 'one', figures },
      { title: 'two', figures: half },
    ])
    assert.deepEqual(
      lines.map((line) => line.trim().split(/ {2,}/)),
      [
        ['GB/s', '×', 'CPU s/GB', '×', 'peak MiB', 'of it new', 'major GC', 'minor GC'],
        ['one', '2.00', '1.00', '0.50', '1.00', '100', '40', '1', '30'],
        ['two', '1.00', '0.50', '0.75', '1.50', '100', '40', '1', '30'],
      ],
    )
  })
})
