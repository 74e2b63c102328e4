/** Shows all pools for `netmem pools`, once or again and again. */

import { setTimeout as sleep } from 'node:timers/promises'

import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { type Look, look } from './look.ts'
import { COUNTERS, type CountedPool, ratesBetween } from './rates.ts'
import { StalledPools } from './stalled.ts'
import { poolLines } from './tables.ts'

interface PoolsOptions {
  readonly watch?: true
  readonly interval: number
  readonly netns?: string
}

/** Shows one look, or one every interval until the signal aborts. */
export async function showPools(
  output: Output,
  signal: AbortSignal,
  { watch, interval, netns }: PoolsOptions,
): Promise<CommandOutcome> {
  const stalled = new StalledPools()
  if (watch === undefined) {
    const now = await look(netns)
    for (const line of poolLines(now, undefined)) output.result(line)
    for (const line of stalled.describe(now)) output.result(`\n${line}`)
    return { report: fields(now, undefined) }
  }
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
