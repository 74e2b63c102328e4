/**
 * Intervals and measurements as lines of text, in the columns an iperf3 user knows.
 */

import type { IntervalSample, Measurement, StreamResult } from './meter.ts'

export const REPORT_HEADING = '[ ID] Interval           Transfer     Bitrate'

/** Returns one line for each stream, and a sum of several. */
export function describeInterval(sample: IntervalSample): string[] {
  return lines(
    sample.streams,
    sample.bytes,
    sample.startSeconds,
    sample.endSeconds,
    sample.omitted ? '(omitted)' : '',
  )
}

/** A rule, the heading and the lines of the whole test. */
export function describeMeasurement(measurement: Measurement): string[] {
  return [
    '- '.repeat(25).trimEnd(),
    REPORT_HEADING,
    ...lines(measurement.streams, measurement.bytes, 0, measurement.seconds, 'receiver'),
  ]
}

/** A report longer than this is not what a client wants to see at the end of a test. */
const MOST_LINES = 1_000

/** Returns the report for a client's `--get-server-output`. */
export class Report {
  readonly #lines: string[] = [REPORT_HEADING]

  add(sample: IntervalSample): void {
    if (this.#lines.length < MOST_LINES) this.#lines.push(...describeInterval(sample))
  }

  text(measurement: Measurement): string {
    return [...this.#lines, ...describeMeasurement(measurement)].join('\n')
  }
}

function lines(
  streams: readonly StreamResult[],
  bytes: number,
  start: number,
  end: number,
  note: string,
): string[] {
  const line = (name: string, count: number) => {
    const period = `${start.toFixed(2)}-${end.toFixed(2)}`.padEnd(11)
    const bits = end > start ? (count * 8) / (end - start) : 0
    const columns = [
      period,
      'sec ',
      scaled(count, 1024, 'Bytes'),
      '',
      scaled(bits, 1000, 'bits/sec'),
    ]
    return `[${name.padStart(3)}]  ${columns.join(' ')}  ${note}`.trimEnd()
  }
  const each = streams.map((stream) => line(String(stream.id), stream.bytes))
  return streams.length > 1 ? [...each, line('SUM', bytes)] : each
}

/** Formats with three digits and a prefix: "1.14 GBytes", "23.5 Gbits/sec". */
function scaled(value: number, base: 1000 | 1024, unit: string): string {
  const prefixes = ['', 'K', 'M', 'G', 'T']
  let scale = 0
  while (value >= base && scale < prefixes.length - 1) {
    value /= base
    scale += 1
  }
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  return `${value.toFixed(digits).padStart(4)} ${prefixes[scale] ?? ''}${unit}`
}
