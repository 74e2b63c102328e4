/**
 * One line on a terminal that says how far a transfer is: amount, rate, share, time left, a bar.
 * Of our own because the known library for it, cli-progress, has had no release since 2023.
 */

import { printable } from './printable.ts'
import { roughRate, roughSize } from './size.ts'

/** What a line of progress is about. */
export interface ProgressTask {
  readonly label: string
  /** What else there is to say, if there is: the attempt. */
  readonly remark?: string | undefined
  /** Bytes in all, if that is known. */
  readonly totalBytes: number | undefined
  /** Bytes so far. */
  readonly bytes: () => number
}

/** Some terminals do not say how wide they are. */
const DEFAULT_COLUMNS = 80
const REDRAW_MS = 250
/** A longer label loses its start: a path's end is what one knows it by. */
const LABEL_WIDTH = 20
const MIN_BAR_WIDTH = 5
const MAX_BAR_WIDTH = 40
/** The rate shown is that of the last seconds; over the whole time it would lag behind. */
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

  /** Takes the line away; it comes back with the next redraw. */
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

/** The line's text; share, time left and a bar as long as it fits only where the total is known. */
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
