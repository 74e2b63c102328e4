/** `netmem iperf3`: an iperf3 server for TCP that receives into pages. */

import { Command } from 'commander'

import { listen } from '../net/index.ts'
import { formatEndpoint } from './endpoint.ts'
import { CliError, type Described, describeError, EXIT_CODES, SIZES } from './exit.ts'
import { describeInterval, describeMeasurement, REPORT_HEADING } from './iperf3/report.ts'
import { serveIperf3 } from './iperf3/server.ts'
import type { Iperf3Summary } from './iperf3/summary.ts'
import { describePool, type ListenOptions, makePool, withListenOptions } from './options.ts'
import type { Output } from './output.ts'
import { type Outcome, run } from './run.ts'
import { wakeBatchingIfAny } from './wake-batching.ts'

const HELP = `
One test at a time, as iperf3 does; UDP (-u), -R and --bidir are refused, and the client says so.

Example:
  $ netmem iperf3 --host 0.0.0.0          then, elsewhere: iperf3 -c HOST -t 10 -P 2

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

export function iperf3Command(): Command {
  const command = new Command('iperf3')
    .description('serve iperf3 clients, over TCP, and receive what they send into pages')
    .addHelpText('after', HELP)
  return withListenOptions(command, 'test').action((options: ListenOptions) =>
    run('iperf3', { json: options.json === true }, (output, signal) =>
      iperf3(options, output, signal),
    ),
  )
}

async function iperf3(
  options: ListenOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const pool = await makePool(options)
  const listener = await listen({
    pool,
    host: options.host,
    port: options.port,
    ...(await wakeBatchingIfAny()),
  })
  output.note(
    `netmem: listening on ${formatEndpoint(listener.address)}, ${describePool(pool, options)}`,
  )
  let failed = 0
  let failure: Described | undefined
  const served = serveIperf3(listener, {
    signal,
    onStart: (client, { streams }) => {
      output.result(`Test of ${formatEndpoint(client)}, streams: ${streams}`)
      output.result(REPORT_HEADING)
    },
    onInterval: (sample) => {
      for (const line of describeInterval(sample)) output.result(line)
    },
  })
  try {
    for await (const test of served) {
      output.report({ command: 'iperf3', event: 'test', ...test })
      const wrong = show(test, output)
      if (wrong !== undefined) {
        failed++
        failure = wrong
      }
      if (options.once === true) break
    }
  } finally {
    await listener.close()
  }
  const stats = pool.stats()
  await pool.destroy()
  output.result(
    `pool: ${stats.alloc.fast + stats.alloc.slow + stats.alloc.refill} pages taken, ${stats.alloc.empty} times empty, ${stats.out} out; ${stats.copied.frags} payloads copied`,
  )
  return { report: { failed, pool: stats }, failure }
}

/** Prints a test's end; returns its failure, if any. */
function show(test: Iperf3Summary, output: Output): Described | undefined {
  if (test.streams.length > 0) {
    for (const line of describeMeasurement(test)) output.result(line)
    const { total, user, system } = test.cpu
    output.result(
      `CPU of this side: ${total.toFixed(1)} % (user ${user.toFixed(1)} %, system ${system.toFixed(1)} %)`,
    )
  }
  if (test.kind === 'completed') return undefined
  const failure = describeError(new CliError('TEST_FAILED', `${test.kind}: ${test.reason}`))
  output.complain(failure)
  return failure
}
