/** Measures the receivers of `netmem demo` in rounds, and shows their medians. */

import { constants } from 'node:buffer'

import { usage } from '../exit.ts'
import { makePool } from '../make-pool.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { exactSize } from '../size.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import type { DemoOptions, ReceiverName } from './job.ts'
import { receivers } from './receivers.ts'
import { type Measurements, measureRounds } from './rounds.ts'
import { medians, type Row, table } from './table.ts'

export async function compare(
  output: Output,
  signal: AbortSignal,
  options: DemoOptions,
): Promise<CommandOutcome> {
  const { bytes, rounds, corrupt, destination, concat } = options
  if (corrupt !== undefined && corrupt >= bytes) {
    throw usage(
      `--corrupt ${exactSize(corrupt)} is beyond the last of --bytes ${exactSize(bytes)}, which are counted from 0.`,
    )
  }
  if ((concat === true ? bytes : destination) > constants.MAX_LENGTH) {
    throw usage(`One destination has at most ${exactSize(constants.MAX_LENGTH)} here.`)
  }
  // Bad pool options fail here, before any process starts.
  await (await makePool(options)).destroy()
  const names: ReceiverName[] = ['data', 'pool', 'into']
  if (concat === true) names.push('concat', 'whole')
  const wakeBatching = (await wakeBatchingIfAny()).wakeBatching !== undefined
  const batching = wakeBatching
    ? 'netmem with wakeBatching'
    : 'without wakeBatching, which `netmem doctor` says more of'
  output.result(
    `${exactSize(bytes)} over loopback TCP from a sender process, every byte verified; rounds: ${rounds}; ${batching}`,
  )
  output.result('')
  const measured = await measureRounds(names, options, output, signal)
  const rows = [...measured]
    .filter(([, measurements]) => measurements.length > 0)
    .map(([name, measurements]) => ({
      name,
      title: receivers[name].title(options),
      figures: medians(measurements),
    }))
  if (rows.length === 0) output.result('Interrupted before anything was measured.')
  else for (const line of table(rows)) output.result(line)
  for (const line of poolLines(measured)) output.result(line)
  return {
    report: {
      bytes,
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
