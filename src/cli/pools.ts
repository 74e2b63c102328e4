/** `netmem pools`: the kernel's page pools, and those of netmem processes that offer them. */

import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'

import { EXIT_CODES } from './exit.ts'
import { argument, parseCount, withJson } from './options.ts'
import type { Output } from './output.ts'
import { type Look, look } from './pools/look.ts'
import { COUNTERS, type CountedPool, ratesBetween } from './pools/rates.ts'
import { StalledPools } from './pools/stalled.ts'
import { poolLines } from './pools/tables.ts'
import { type Outcome, run } from './run.ts'

const HELP = `
The kernel lists the pools of drivers that belong to an interface of the network namespace (Linux 6.8
and newer, through koffi). Programs that use netmem are listed once they call offerPools() of
netmem/observe: who holds their memory, and how long the oldest is out. Root sees those of all users.

A pool that its driver has given up lasts until its last memory comes back. --watch shows whether that
comes back slowly (a slow consumer) or not at all. The kernel's log warns of a "stalled pool shutdown" if it
cannot list such a pool, so the warning is never about one of these.

Examples:
  $ netmem pools
  $ netmem pools --watch --netns /run/netns/blue

${EXIT_CODES}`

interface PoolsOptions {
  readonly json?: true
  readonly watch?: true
  readonly interval: number
  readonly netns?: string
}

export function poolsCommand(): Command {
  const command = new Command('pools')
    .description("list the kernel's page pools, and those of netmem processes")
    .option('--watch', 'look again and again, and show how fast the counters run')
    .option(
      '--interval <seconds>',
      'between two looks, 1 to 3600',
      argument(parseCount(1, 3600)),
      1,
    )
    .option('--netns <file>', 'network namespace, such as /run/netns/blue')
    .addHelpText('after', HELP)
  return withJson(command).action((options: PoolsOptions) =>
    run('pools', { json: options.json === true }, (output, signal) =>
      options.watch === true ? watch(output, options, signal) : once(output, options),
    ),
  )
}

async function once(output: Output, { netns }: PoolsOptions): Promise<Outcome> {
  const now = await look(netns)
  for (const line of poolLines(now, undefined)) output.result(line)
  for (const line of new StalledPools().describe(now)) output.result(`\n${line}`)
  return { report: fields(now, undefined) }
}

async function watch(
  output: Output,
  { netns, interval }: PoolsOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const stalled = new StalledPools()
  let looks = 0
  let before: Look | undefined
  while (!signal.aborted) {
    const now = await look(netns)
    const rates = before === undefined ? undefined : ratesBetween(before, now)
    output.clear()
    for (const line of [...poolLines(now, rates), ...stalled.describe(now), '']) output.result(line)
    output.report({ command: 'pools', event: 'look', ...fields(now, rates) })
    before = now
    looks++
    await sleep(interval * 1000, undefined, { signal }).catch(() => undefined)
  }
  return { report: { looks } }
}

/** Fields of a look in JSON. */
function fields({ kernel, processes }: Look, rates: readonly CountedPool[] | undefined): object {
  return {
    kernel,
    processes,
    ...(rates !== undefined && {
      rates: rates.map(({ label, values }) => ({
        pool: label,
        ...Object.fromEntries(COUNTERS.map((name, at) => [name, values[at]])),
      })),
    }),
  }
}
