/**
 * Results that both sides exchange after a test. Pure.
 */

import { type Fields, isFields } from '../../errors.ts'
import { integer, parseFields } from './fields.ts'
import type { Measurement } from './meter.ts'

/**
 * Returns this side's results. A receiver knows no retransmits (-1), and TCP no jitter, errors or packets.
 */
export function resultsJson(
  results: Pick<Measurement, 'cpu' | 'seconds' | 'streams'> & {
    readonly serverOutput: string | undefined
  },
): string {
  return JSON.stringify({
    cpu_util_total: results.cpu.total,
    cpu_util_user: results.cpu.user,
    cpu_util_system: results.cpu.system,
    sender_has_retransmits: -1,
    server_output_text: results.serverOutput,
    streams: results.streams.map(({ id, bytes }) => ({
      id,
      bytes,
      retransmits: -1,
      jitter: 0,
      errors: 0,
      packets: 0,
      start_time: 0,
      end_time: results.seconds,
    })),
  })
}

/** Figures that the client reports for a stream, or `undefined` where it reports none. */
export interface SenderResults {
  readonly bytes: number | undefined
  readonly retransmits: number | undefined
  readonly cpuTotal: number | undefined
}

/**
 * Reads the client's results, or `undefined` if they are no JSON object. They do not affect the test,
 * which this side has measured: invalid figures are left out.
 */
export function parseResults(text: string): SenderResults | undefined {
  const fields = parseFields(text)
  if (fields === undefined) return undefined
  const list: unknown = fields['streams']
  const streams = Array.isArray(list) ? list.filter(isFields) : []
  const cpuTotal = fields['cpu_util_total']
  return {
    bytes: sum(streams, 'bytes'),
    retransmits: sum(streams, 'retransmits'),
    cpuTotal: typeof cpuTotal === 'number' ? cpuTotal : undefined,
  }
}

/** Returns the sum of a figure over all streams, or `undefined` if a stream lacks it. */
function sum(streams: readonly Fields[], name: string): number | undefined {
  const figures = streams.map((stream) => integer(stream, name) ?? Number.NaN)
  const total = figures.reduce((all, figure) => all + figure, 0)
  return figures.length === 0 || Number.isNaN(total) ? undefined : total
}
