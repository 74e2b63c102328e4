/** `netmem iperf3`: an iperf3 server for TCP that receives into pages or device memory. */

import { Command } from 'commander'

import { createPool, hostProvider } from '../index.ts'
import { type Address, listen } from '../net/index.ts'
import { checkBoundPool, parseDmaBuf, parseQueues } from './devmem/parse.ts'
import { formatEndpoint } from './endpoint.ts'
import { CliError, type Described, describeError, EXIT_CODES, SIZES, usage } from './exit.ts'
import { describeInterval, describeMeasurement, REPORT_HEADING } from './iperf3/report.ts'
import { serveIperf3 } from './iperf3/server.ts'
import type { Iperf3Summary } from './iperf3/summary.ts'
import type { Connection } from './iperf3/transport.ts'
import { describePool, type ListenOptions, makePool, withListenOptions } from './options.ts'
import type { Output } from './output.ts'
import { type Outcome, run } from './run.ts'
import { exactSize } from './size.ts'
import { wakeBatchingIfAny } from './wake-batching.ts'

const HELP = `
One test at a time, as iperf3 does; UDP (-u), -R and --bidir are refused, and the client says so.

With --memory devmem payload lands in device memory by the kernel's devmem TCP. It needs --interface and
--queues, and CAP_NET_ADMIN: the card is prepared, and --pool is bound to the queues. Control connections
stay in pages, on the other queues. Each data connection gets a rule that steers it to a bound queue.

Examples:
  $ netmem iperf3 --host 0.0.0.0          then, elsewhere: iperf3 -c HOST -t 10 -P 2
  # netmem iperf3 --host 0.0.0.0 --memory devmem --interface eth0 --queues 2,3

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

/** Pages for control messages, and for what clients send before they are steered. */
const CONTROL_POOL = { pages: 64, pageSize: 16 * 1024 }

interface Iperf3CliOptions extends Omit<ListenOptions, 'memory'> {
  readonly memory: ListenOptions['memory'] | 'devmem'
  readonly interface?: string
  readonly queues?: readonly number[]
  readonly dmabuf?: string
}

export function iperf3Command(): Command {
  const command = new Command('iperf3')
    .description('serve iperf3 clients, over TCP, and receive what they send into pages')
    .addHelpText('after', HELP)
  withListenOptions(command, 'test', ['devmem'])
    .option('--interface <name>', 'network interface, for --memory devmem')
    .option('--queues <list>', 'RX queues, such as 2,3, for --memory devmem', parseQueues)
    .option(
      '--dmabuf <kind>',
      'udmabuf (the default), or heap:NAME, for --memory devmem',
      parseDmaBuf,
    )
  return command.action((options: Iperf3CliOptions) =>
    run('iperf3', { json: options.json === true }, (output, signal) =>
      iperf3(options, output, signal),
    ),
  )
}

async function iperf3(
  options: Iperf3CliOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const { memory, host, port, interface: name, queues, dmabuf = 'udmabuf' } = options
  if (memory === 'devmem') {
    if (name === undefined || queues === undefined) {
      throw usage('--memory devmem needs --interface and --queues.')
    }
    checkBoundPool(options.pool)
    // Loaded here alone, as netmem/linux is for other memory.
    const { overDevmem } = await import('./iperf3/devmem.ts')
    const pool = createPool(hostProvider(CONTROL_POOL))
    const bytes = options.pool
    const where = { pool, host, port, name, queues, dmabuf, bytes }
    const outcome = await overDevmem(where, async ({ address, binding, totals, connections }) => {
      const what = `binding ${binding} of ${exactSize(bytes)}, queues ${queues.join()} of ${name}`
      const served = await serve({ address, what, connections }, options, output, signal)
      const devmem = totals()
      const { deviceBytes, deviceFrags, linearBytes } = devmem
      output.result(
        `device memory: ${deviceBytes} bytes in ${deviceFrags} frags, ${linearBytes} bytes in pages`,
      )
      return { ...served, devmem }
    })
    await pool.destroy()
    const { failed, failure, devmem } = outcome
    return { report: { failed, devmem }, failure }
  }
  if ((name ?? queues ?? options.dmabuf) !== undefined) {
    throw usage('--interface, --queues and --dmabuf are for --memory devmem.')
  }
  const poolOptions = { ...options, memory }
  const pool = await makePool(poolOptions)
  const listener = await listen({ pool, host, port, ...(await wakeBatchingIfAny()) })
  const from = {
    address: listener.address,
    what: describePool(pool, poolOptions),
    connections: listener,
  }
  const { failed, failure } = await serve(from, options, output, signal).finally(() =>
    listener.close(),
  )
  const stats = pool.stats()
  await pool.destroy()
  output.result(
    `pool: ${stats.alloc.fast + stats.alloc.slow + stats.alloc.refill} pages taken, ${stats.alloc.empty} times empty, ${stats.out} out; ${stats.copied.frags} payloads copied`,
  )
  return { report: { failed, pool: stats }, failure }
}

/** Connections of clients, and where they come from. */
interface Clients {
  readonly address: Address
  /** Description of the memory. */
  readonly what: string
  readonly connections: AsyncIterable<Connection>
}

/** Serves tests until the first one is over, or a signal comes. */
async function serve(
  { address, what, connections }: Clients,
  { once }: Iperf3CliOptions,
  output: Output,
  signal: AbortSignal,
): Promise<{ readonly failed: number; readonly failure: Described | undefined }> {
  output.note(`netmem: listening on ${formatEndpoint(address)}, ${what}`)
  let failed = 0
  let failure: Described | undefined
  const served = serveIperf3(connections, {
    signal,
    onStart: (client, { streams }) => {
      output.result(`Test of ${formatEndpoint(client)}, streams: ${streams}`)
      output.result(REPORT_HEADING)
    },
    onInterval: (sample) => {
      for (const line of describeInterval(sample)) output.result(line)
    },
  })
  for await (const test of served) {
    output.report({ command: 'iperf3', event: 'test', ...test })
    const wrong = show(test, output)
    if (wrong !== undefined) {
      failed++
      failure = wrong
    }
    if (once === true) break
  }
  return { failed, failure }
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
