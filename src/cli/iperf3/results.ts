/**
 * What both sides tell each other after a test. Pure.
 */

import { integer, isFields, parseFields } from './fields.ts'

/** How busy this process was, in percent of one CPU. */
export interface CpuUse {
  readonly total: number
  readonly user: number
  readonly system: number
}

export interface StreamResult {
  readonly id: number
  readonly bytes: number
}

export interface Results {
  readonly cpu: CpuUse
  readonly seconds: number
  readonly streams: readonly StreamResult[]
  readonly serverOutput: string | undefined
}

/**
 * This side's results. A receiver knows no retransmits (-1), and TCP no jitter, errors or packets.
 */
export function resultsJson(results: Results): string {
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

/** What the client says it sent. */
export interface SenderResults {
  readonly bytes: number
  /** `undefined` where the client's system does not count them. */
  readonly retransmits: number | undefined
  readonly cpuTotal: number
}

/** Reads the client's results; `undefined` if they are not what a client sends. */
export function parseResults(text: string): SenderResults | undefined {
  const fields = parseFields(text)
  const streams: unknown = fields?.['streams']
  const cpuTotal = fields?.['cpu_util_total']
  if (!Array.isArray(streams) || typeof cpuTotal !== 'number') return undefined
  let bytes = 0
  let retransmits = 0
  for (const stream of streams) {
    if (!isFields(stream)) return undefined
    const sent = integer(stream, 'bytes', 0)
    if (sent === undefined) return undefined
    bytes += sent
    retransmits += integer(stream, 'retransmits', 0) ?? Number.NaN
  }
  return { bytes, retransmits: Number.isNaN(retransmits) ? undefined : retransmits, cpuTotal }
}
