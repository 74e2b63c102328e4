/** The demo's figures: medians over the rounds, ratios to the first receiver, and a table of both. */

import { alignColumns } from '../columns.ts'
import type { RunMeasurement } from './job.ts'

/** Figures of a receiver. */
export interface Figures {
  readonly gigabytesPerSecond: number
  /** User and system time. */
  readonly cpuSecondsPerGigabyte: number
  readonly peakMiB: number
  /** Part of it that was resident before the first byte. */
  readonly baseMiB: number
  readonly majorCollections: number
  readonly minorCollections: number
}

/** Returns the median of each figure. */
export function medians(rounds: readonly RunMeasurement[]): Figures {
  const of = (figure: (round: RunMeasurement) => number): number => median(rounds.map(figure))
  return {
    gigabytesPerSecond: of(({ bytes, seconds }) => bytes / 1e9 / seconds),
    cpuSecondsPerGigabyte: of(({ bytes, cpuSeconds }) => cpuSeconds / (bytes / 1e9)),
    peakMiB: of(({ peakBytes }) => peakBytes / 2 ** 20),
    baseMiB: of(({ baseBytes }) => baseBytes / 2 ** 20),
    majorCollections: of(({ majorCollections }) => majorCollections),
    minorCollections: of(({ minorCollections }) => minorCollections),
  }
}

/** Median, or the mean of the two values in the middle. NaN without values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2
}

/** A receiver's row. */
export interface Row {
  readonly title: string
  readonly figures: Figures
}

const HEADINGS = ['', 'GB/s', '×', 'CPU s/GB', '×', 'peak MiB', 'of it new', 'major GC', 'minor GC']

/** Returns the table's lines. Ratios are to the first row. */
export function table(rows: readonly Row[]): string[] {
  const first = rows[0]?.figures
  const cells = rows.map(({ title, figures }) => [
    title,
    significant(figures.gigabytesPerSecond),
    ratio(figures.gigabytesPerSecond, first?.gigabytesPerSecond),
    significant(figures.cpuSecondsPerGigabyte),
    ratio(figures.cpuSecondsPerGigabyte, first?.cpuSecondsPerGigabyte),
    figures.peakMiB.toFixed(0),
    (figures.peakMiB - figures.baseMiB).toFixed(0),
    String(figures.majorCollections),
    String(figures.minorCollections),
  ])
  return alignColumns([HEADINGS, ...cells], new Set([0]))
}

/** Formats with two decimals, or with two digits if those were zeros. */
function significant(value: number): string {
  return value > 0 && value < 0.1 ? value.toPrecision(2) : value.toFixed(2)
}

function ratio(value: number, base: number | undefined): string {
  return (value / (base ?? NaN)).toFixed(2)
}
