/**
 * `netmem demo`: compares receivers on this machine. One process sends. Each receiver runs in a
 * separate process, one after another.
 */

import { constants } from 'node:buffer'

import { Command } from 'commander'

import type { ReceiverName } from './demo/job.ts'
import { receivers } from './demo/receivers.ts'
import { type DemoSettings, type Measurements, measureRounds } from './demo/rounds.ts'
import { medians, type Row, table } from './demo/table.ts'
import { EXIT_CODES, SIZES, usage } from './exit.ts'
import {
  argument,
  makePool,
  type PoolOptions,
  parseCount,
  seedOption,
  sizeOption,
  withJson,
  withPoolOptions,
} from './options.ts'
import type { Output } from './output.ts'
import { type Outcome, run } from './run.ts'
import { exactSize, parseSize } from './size.ts'
import { wakeBatchingIfAny } from './wake-batching.ts'

interface DemoOptions extends PoolOptions {
  readonly bytes: number
  readonly rounds: number
  readonly pattern: number
  readonly destination: number
  readonly concat?: true
  readonly corrupt?: number
  readonly json?: true
}

const HELP = `
The bytes are a pseudo-random pattern, which every receiver compares whole. Ratios are to the first
receiver; memory is what the receiver's process had resident at its peak. One wrong byte, and the
demo fails: try --corrupt. netmem's receivers use wakeBatching of netmem/linux, where it can be had.

Examples:
  $ netmem demo
  $ netmem demo --bytes 10GB --rounds 5 --json
  $ netmem demo --bytes 512MiB --concat

${SIZES}

${EXIT_CODES}`

export function demoCommand(): Command {
  const command = new Command('demo')
    .description("compare Node's data events, a page pool and receiveInto over loopback TCP")
    .addOption(sizeOption('--bytes <size>', 'what each receiver gets in each round', 2 * 2 ** 30))
    .option(
      '--rounds <number>',
      'figures are medians over these: 1 to 99',
      argument(parseCount(1, 99)),
      2,
    )
    .addOption(seedOption('the seed of the pattern').default(1))
    .addOption(sizeOption('--destination <size>', 'what receiveInto fills', 64 * 2 ** 20))
    .option('--concat', 'also keep everything: Buffer.concat against one destination for all of it')
    .option(
      '--corrupt <offset>',
      'flip a bit there, to see it noticed: less than --bytes',
      argument(parseSize),
    )
    .addHelpText('after', HELP)
  return withJson(withPoolOptions(command)).action((options: DemoOptions) =>
    run('demo', { json: options.json === true }, (output, signal) => {
      const { bytes, rounds, pattern, destination, corrupt, concat } = options
      const settings = { bytes, rounds, pattern, pool: options, destination, corrupt }
      return demo(settings, concat === true, output, signal)
    }),
  )
}

async function demo(
  settings: DemoSettings,
  concat: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const largest = concat ? settings.bytes : settings.destination
  const { corrupt } = settings
  if (corrupt !== undefined && corrupt >= settings.bytes) {
    throw usage(
      `--corrupt ${exactSize(corrupt)} is beyond the last of --bytes ${exactSize(settings.bytes)}, which are counted from 0.`,
    )
  }
  if (largest > constants.MAX_LENGTH) {
    throw usage(`One destination has at most ${exactSize(constants.MAX_LENGTH)} here.`)
  }
  // Bad pool options fail here, before any process starts.
  await (await makePool(settings.pool)).destroy()
  const names: ReceiverName[] = ['data', 'pool', 'into']
  if (concat) names.push('concat', 'whole')
  const how = [
    `${exactSize(settings.bytes)} over loopback TCP from a sender process`,
    'every byte verified',
    `rounds: ${settings.rounds}`,
  ]
  const wakeBatching = (await wakeBatchingIfAny()).wakeBatching !== undefined
  how.push(
    wakeBatching
      ? 'netmem with wakeBatching'
      : 'without wakeBatching, which `netmem doctor` says more of',
  )
  output.result(`${how.slice(0, 2).join(', ')}; ${how.slice(2).join('; ')}`)
  output.result('')
  const measured = await measureRounds(names, settings, output, signal)
  const rows: (Row & { readonly name: ReceiverName })[] = []
  for (const [name, rounds] of measured) {
    if (rounds.length === 0) continue
    const title = receivers[name].title({
      bytes: settings.bytes,
      destinationBytes: settings.destination,
    })
    rows.push({ name, title, figures: medians(rounds) })
  }
  if (rows.length === 0) output.result('Interrupted before anything was measured.')
  else for (const line of table(rows)) output.result(line)
  for (const line of poolLines(measured)) output.result(line)
  return {
    report: {
      bytes: settings.bytes,
      wakeBatching,
      verified: !signal.aborted,
      receivers: Object.fromEntries(
        rows.map(({ name, figures }) => [name, { ...figures, rounds: measured.get(name) }]),
      ),
      ratios: ratios(rows),
    },
  }
}

/** Returns speed and processor time relative to Node's `data` events. */
function ratios(rows: readonly (Row & { readonly name: ReceiverName })[]): object {
  const base = rows[0]?.figures
  if (base === undefined) return {}
  return Object.fromEntries(
    rows.map(({ name, figures }) => [
      name,
      {
        gigabytesPerSecond: figures.gigabytesPerSecond / base.gigabytesPerSecond,
        cpuSecondsPerGigabyte: figures.cpuSecondsPerGigabyte / base.cpuSecondsPerGigabyte,
      },
    ]),
  )
}

/** Returns a line with the pool's counters for each receiver of the last round. */
function poolLines(measured: Measurements): string[] {
  const lines: string[] = []
  for (const [name, rounds] of measured) {
    const pool = rounds.at(-1)?.pool
    // receiveInto() takes no pages.
    if (pool === undefined || pool.alloc.fast + pool.alloc.slow + pool.alloc.refill === 0) continue
    const { alloc, recycle, copied, inflight, out } = pool
    lines.push(
      `counters of receiver ${name}: alloc fast ${alloc.fast}, slow ${alloc.slow}, refill ${alloc.refill}, empty ${alloc.empty}; recycled ${recycle.cached} cached, ${recycle.ring} ring; inflight ${inflight}, out ${out}; copied ${copied.frags}`,
    )
  }
  return lines.length === 0 ? [] : ['', ...lines]
}
