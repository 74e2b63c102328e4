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

export class Progress {
  readonly #terminal: NodeJS.WriteStream
  readonly #task: ProgressTask
  readonly #timer: NodeJS.Timeout
  readonly #samples: { readonly at: number; readonly bytes: number }[] = []
  #drawn = false

  constructor(terminal: NodeJS.WriteStream, task: ProgressTask) {
    this.#terminal = terminal
    this.#task = task
    this.#sample()
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref()
  }

  /** Clears the line until the next redraw. */
  clear(): void {
    if (this.#drawn) this.#terminal.write('\r\x1b[K')
    this.#drawn = false
  }

  stop(): void {
    clearInterval(this.#timer)
    this.clear()
  }

  #draw(): void {
    const { at, bytes } = this.#sample()
    const first = this.#samples[0] ?? { at, bytes }
    const rate = { bytes: bytes - first.bytes, seconds: (at - first.at) / 1_000 }
    const { label, totalBytes, remark } = this.#task
    const columns = (this.#terminal.columns || DEFAULT_COLUMNS) - 1
    const line = describeProgress(label, bytes, totalBytes, rate, columns, remark)
    this.#terminal.write(`\r\x1b[K${line.slice(0, columns)}`)
    this.#drawn = true
  }

  #sample(): { readonly at: number; readonly bytes: number } {
    const sample = { at: performance.now(), bytes: this.#task.bytes() }
    this.#samples.push(sample)
    const [oldest] = this.#samples
    if (oldest !== undefined && sample.at - oldest.at > WINDOW_MS) this.#samples.shift()
    return sample
  }
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
