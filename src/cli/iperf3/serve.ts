/** Serves the tests of `netmem iperf3`, from pages or from device memory, and shows each. */

import { listen } from '../../net/listen.ts'
import { checkBoundPool } from '../devmem/parse.ts'
import { formatEndpoint } from '../endpoint.ts'
import { CliError, type Described, describeError, usage } from '../exit.ts'
import { describePool, makePool } from '../make-pool.ts'
import type { ListenFlags } from '../options.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import { describeInterval, describeMeasurement, REPORT_HEADING } from './report.ts'
import { serveIperf3 } from './server.ts'
import type { Iperf3Summary } from './summary.ts'
import type { Clients } from './transport.ts'

interface Iperf3CliOptions extends Omit<ListenFlags, 'memory'> {
  readonly memory: ListenFlags['memory'] | 'devmem'
  readonly interface?: string
  readonly queues?: readonly number[]
  readonly dmabuf?: string
}

export async function serveTests(
  output: Output,
  signal: AbortSignal,
  options: Iperf3CliOptions,
): Promise<CommandOutcome> {
  const { memory, host, port, interface: name, queues, dmabuf = 'udmabuf' } = options
  if (memory === 'devmem') {
    if (name === undefined || queues === undefined) {
      throw usage('--memory devmem needs --interface and --queues.')
    }
    checkBoundPool(options.pool)
    // Loaded here alone, as netmem/linux is for other memory.
    const { overDevmem } = await import('./devmem.ts')
    const served = await overDevmem({ ...options, interface: name, queues, dmabuf }, (clients) =>
      serveClients(clients, options, output, signal),
    )
    const { device_bytes, device_frags, linear_bytes } = served.devmem
    output.result(
      `device memory: ${device_bytes} bytes in ${device_frags} frags, ${linear_bytes} bytes in pages`,
    )
    return { report: { failed: served.failed, devmem: served.devmem }, failure: served.failure }
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
  const { failed, failure } = await serveClients(from, options, output, signal).finally(() =>
    listener.close(),
  )
  const stats = pool.stats()
  await pool.destroy()
  output.result(
    `pool: ${stats.alloc.fast + stats.alloc.slow + stats.alloc.refill} pages taken, ${stats.alloc.empty} times empty, ${stats.out} out; ${stats.copied.frags} payloads copied`,
  )
  return { report: { failed, pool: stats }, failure }
}

/** Serves tests until the first one is over, or a signal comes. */
async function serveClients(
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

/** Prints a test's end. Returns its failure, if any. */
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
