/**
 * One line of progress on a terminal: amount, rate, share, time left, a bar. Written here because
 * cli-progress, the usual library, has had no release since 2023.
 */

import { printable } from './printable.ts'
import { roughRate, roughSize } from './size.ts'

/** The transfer that a progress line describes. */
export interface ProgressTask {
  readonly label: string
  /** Extra text, such as the attempt. */
  readonly remark?: string | undefined
  /** Total bytes, if known. */
  readonly totalBytes: number | undefined
  /** Bytes so far. */
  readonly bytes: () => number
}

/** Width of a terminal that does not report one. */
const DEFAULT_COLUMNS = 80
const REDRAW_MS = 250
/** Longest label. A longer one loses its start, since the end of a path identifies it. */
const LABEL_WIDTH = 20
const MIN_BAR_WIDTH = 5
const MAX_BAR_WIDTH = 40
/** Span of the rate: the last seconds. An average over all of it would lag behind. */
const WINDOW_MS = 3_000

/** A line of progress on a terminal. */
export interface Progress {
  /** Clears the line until the next redraw. */
  readonly clear: () => void
  readonly stop: () => void
}

/** Draws a line of progress again and again until it is stopped. */
export function showProgress(terminal: NodeJS.WriteStream, task: ProgressTask): Progress {
  const samples = [{ at: performance.now(), bytes: task.bytes() }]
  let isDrawn = false
  const draw = (): void => {
    const last = { at: performance.now(), bytes: task.bytes() }
    const [first = last] = samples
    samples.push(last)
    if (last.at - first.at > WINDOW_MS) samples.shift()
    const recent = { bytes: last.bytes - first.bytes, seconds: (last.at - first.at) / 1_000 }
    const columns = (terminal.columns || DEFAULT_COLUMNS) - 1
    const { label, totalBytes, remark } = task
    const line = describeProgress(label, last.bytes, totalBytes, recent, columns, remark)
    terminal.write(`\r\x1b[K${line.slice(0, columns)}`)
    isDrawn = true
  }
  const clear = (): void => {
    if (isDrawn) terminal.write('\r\x1b[K')
    isDrawn = false
  }
  const timer = setInterval(draw, REDRAW_MS).unref()
  const stop = (): void => {
    clearInterval(timer)
    clear()
  }
  return { clear, stop }
}

/** Returns the line's text. Share, time left and bar need a known total. */
export function describeProgress(
  label: string,
  bytes: number,
  totalBytes: number | undefined,
  recent: { readonly bytes: number; readonly seconds: number },
  columns: number,
  remark?: string,
): string {
  const safe = printable(label)
  const name = safe.length > LABEL_WIDTH ? `…${safe.slice(1 - LABEL_WIDTH)}` : safe
  const parts = [
    name,
    ...(remark === undefined ? [] : [remark]),
    roughSize(bytes),
    roughRate(recent.bytes, recent.seconds),
  ]
  if (totalBytes !== undefined && totalBytes > 0) {
    const share = Math.min(bytes, totalBytes) / totalBytes
    parts.push(`${Math.floor(share * 100)} %`)
    const left = (Math.max(0, totalBytes - bytes) * recent.seconds) / recent.bytes
    if (Number.isFinite(left)) parts.push(`${clock(left)} left`)
    const width = Math.min(MAX_BAR_WIDTH, columns - parts.join('  ').length - '  []'.length)
    const done = '#'.repeat(Math.floor(share * Math.max(0, width)))
    if (width >= MIN_BAR_WIDTH) parts.push(`[${done.padEnd(width)}]`)
  }
  return parts.join('  ')
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const minutes = `${two((whole / 60) % 60)}:${two(whole % 60)}`
  return whole < 3_600 ? minutes : `${Math.floor(whole / 3_600)}:${minutes}`
}
