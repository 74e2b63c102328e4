import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { isFields } from '../../errors.ts'
import { createPool, hostProvider } from '../../index.ts'
import { listen } from '../../net/index.ts'
import { until } from '../../testing/waiting.test.helper.ts'
import { unlessInstalled } from '../cli.test.helper.ts'
import { integer, parseFields } from './fields.ts'
import type { IntervalSample } from './meter.ts'
import { serveIperf3 } from './server.ts'
import type { Iperf3Summary } from './summary.ts'

const IPERF3 = 'iperf3'
/** Limits the speed: other tests need the processors, too. */
const PACED = ['-b', '400M']
const SECOND = ['-t', '1', ...PACED]
const skip = unlessInstalled(IPERF3, ['--version'])

interface Run {
  readonly process: ChildProcess
  readonly exit: Promise<{
    readonly code: number | null
    readonly out: string
    readonly err: string
  }>
}

describe('an iperf3 server, to the iperf3 client', { skip }, () => {
  const pool = createPool(hostProvider({ pages: 64 }))
  const abort = new AbortController()
  const summaries: Iperf3Summary[] = []
  const intervals: IntervalSample[] = []
  let port = 0
  let close: () => Promise<void> = async () => undefined
  let served: Promise<void> = Promise.resolve()

  before(async () => {
    const listener = await listen({ pool, host: '127.0.0.1', port: 0 })
    port = listener.address.port
    close = () => listener.close()
    served = (async () => {
      const options = {
        signal: abort.signal,
        onInterval: (sample: IntervalSample) => void intervals.push(sample),
      }
      for await (const summary of serveIperf3(listener, options)) summaries.push(summary)
    })()
  })

  after(async () => {
    abort.abort()
    await served
    await close()
    assert.equal(pool.out, 0)
    await pool.destroy()
    assert.equal(pool.inflight, 0)
  })

  function start(...flags: string[]): Run {
    const process = spawn(IPERF3, ['-c', '127.0.0.1', '-p', String(port), ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    process.stdout.on('data', (text: Buffer) => (out += text.toString()))
    process.stderr.on('data', (text: Buffer) => (err += text.toString()))
    return {
      process,
      exit: once(process, 'close').then(() => ({ code: process.exitCode, out, err })),
    }
  }

  /** A client whose test has run for a second. */
  async function running(...flags: string[]): Promise<Run> {
    intervals.length = 0
    const run = start(...flags)
    await until(() => intervals.length > 0, 'the first second')
    return run
  }

  /** The summary that comes after the first `count`. */
  async function summaryAfter(count: number): Promise<Iperf3Summary | undefined> {
    await until(() => summaries.length > count, 'the summary')
    return summaries[count]
  }

  /** The client's own account of a test that must succeed, and the server's. */
  async function measure(
    ...flags: string[]
  ): Promise<{ summary: Iperf3Summary; sent: number; received: number; out: string }> {
    const before = summaries.length
    const { code, out, err } = await start(...flags, '-J').exit
    const end = parseFields(out)?.['end']
    assert.deepEqual([code, err, parseFields(out)?.['error']], [0, '', undefined])
    assert.ok(isFields(end) && isFields(end['sum_sent']) && isFields(end['sum_received']))
    const summary = await summaryAfter(before)
    assert.equal(summary?.kind, 'completed')
    const received = integer(end['sum_received'], 'bytes') ?? 0
    assert.equal(received, summary.bytes)
    return { summary, received, sent: integer(end['sum_sent'], 'bytes') ?? 0, out }
  }

  it('-t 1: what was received, and for how long', async () => {
    intervals.length = 0
    const began = performance.now()
    const { summary, received, sent } = await measure(...SECOND)
    const most = (performance.now() - began) / 1_000
    assert.ok(received > 0 && received <= sent, `${received} of ${sent}`)
    // The client may have had no processor for a part of its second.
    assert.ok(summary.seconds > 0.5 && summary.seconds < most, `${summary.seconds} s`)
    assert.ok(summary.cpu.total > 0)
    assert.ok(intervals.length >= 1)
  })

  it('-n 50M: exactly what was sent', async () => {
    const { received, sent } = await measure('-n', '50M')
    assert.equal(received, sent)
    assert.equal(received, 50 * 1024 * 1024)
  })

  it('-k 100 -l 64K: exactly what was sent', async () => {
    assert.equal((await measure('-k', '100', '-l', '64K')).received, 100 * 65_536)
  })

  it('-P 3: three streams, under the ids of the client', async () => {
    const { summary, received } = await measure(...SECOND, '-P', '3')
    assert.deepEqual(
      summary.streams.map(({ id }) => id),
      [1, 3, 4],
    )
    assert.ok(summary.streams.every(({ bytes }) => bytes > 0))
    assert.equal(
      summary.streams.reduce((sum, { bytes }) => sum + bytes, 0),
      received,
    )
  })

  it('-O 1: the first second does not count', async () => {
    intervals.length = 0
    const began = performance.now()
    const { summary } = await measure(...SECOND, '-O', '1')
    const most = (performance.now() - began) / 1_000 - 1
    assert.ok(summary.seconds > 0 && summary.seconds < most, `${summary.seconds} s of ${most}`)
    assert.ok(intervals.some(({ omitted }) => omitted) && intervals.some(({ omitted }) => !omitted))
  })

  it('--get-server-output: this report', async () => {
    assert.match(
      (await measure('-n', '1M', '--get-server-output')).out,
      /"server_output_text":.*receiver/,
    )
  })

  for (const flags of [
    ['-l', '64K'],
    ['-C', 'reno'],
    ['-w', '256K'],
    ['-M', '1000'],
    ['-N'],
    ['-i', '0.5'],
    ['-4'],
    ['-T', 'title'],
    ['-Z'],
    ['-b', '10M'],
    ['--repeating-payload'],
    ['--connect-timeout', '1000'],
  ]) {
    it(`${flags.join(' ')}: works`, async () => void (await measure('-n', '1M', ...flags)))
  }

  const refusals = [
    ['-u', /protocol does not exist/],
    ['-R', /not implemented/],
    ['--bidir', /not implemented/],
  ] as const
  for (const [flag, message] of refusals) {
    it(`${flag}: refused, and the client says why`, async () => {
      const before = summaries.length
      const { code, err } = await start('-t', '1', flag).exit
      assert.notEqual(code, 0)
      assert.match(err, message)
      assert.equal((await summaryAfter(before))?.kind, 'refused')
    })
  }

  it('a second client hears that the server is busy, and disturbs nothing', async () => {
    const first = await running('-t', '2', ...PACED)
    // The first client must not end before the second, which may take long.
    first.process.kill('SIGSTOP')
    const { code, err } = await start(...SECOND).exit
    first.process.kill('SIGCONT')
    assert.notEqual(code, 0)
    assert.match(err, /busy/)
    assert.equal((await first.exit).code, 0)
  })

  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    it(`a client that ends with ${signal} does not keep the server from the next`, async () => {
      const before = summaries.length
      const first = await running('-t', '10', ...PACED)
      first.process.kill(signal)
      await first.exit
      assert.equal(
        (await summaryAfter(before))?.kind,
        signal === 'SIGINT' ? 'terminated' : 'failed',
      )
      await measure('-n', '1M')
    })
  }

  it('the client hears when the server is stopped', async () => {
    const client = await running('-t', '10', ...PACED)
    abort.abort()
    const { code, err } = await client.exit
    assert.notEqual(code, 0)
    assert.match(err, /server has terminated/)
  })
})
