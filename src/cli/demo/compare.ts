/** Measures the receivers of `netmem demo` in rounds, and shows their medians. */

import { constants } from 'node:buffer'

import { usage } from '../exit.ts'
import { makePool } from '../make-pool.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { exactSize } from '../size.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import type { ReceiverName } from './job.ts'
import { receivers } from './receivers.ts'
import { type DemoSettings, type Measurements, measureRounds } from './rounds.ts'
import { medians, type Row, table } from './table.ts'

export async function compare(
  settings: DemoSettings,
  concat: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<CommandOutcome> {
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
