/**
 * One line on a terminal that says how far a transfer is: amount, rate, share, time left, a bar.
 * Of our own because the known library for it, cli-progress, has had no release since 2023.
 */

import { roughRate, roughSize } from './size.ts'

/** What a line of progress is about. */
export interface ProgressTask {
  readonly label: string
  /** Bytes in all, if that is known. */
  readonly totalBytes: number | undefined
  /** Bytes so far. */
  readonly bytes: () => number
}

/** Some terminals do not say how wide they are. */
const DEFAULT_COLUMNS = 80
const REDRAW_MS = 250
const BAR_WIDTH = 20
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
    const line = describeProgress(this.#task.label, bytes, this.#task.totalBytes, rate)
    this.#terminal.write(
      `\r\x1b[K${line.slice(0, (this.#terminal.columns || DEFAULT_COLUMNS) - 1)}`,
    )
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

/** The line's text; share, time left and bar only where the total is known. */
export function describeProgress(
  label: string,
  bytes: number,
  totalBytes: number | undefined,
  recent: { readonly bytes: number; readonly seconds: number },
): string {
  const parts = [label, roughSize(bytes), roughRate(recent.bytes, recent.seconds)]
  if (totalBytes !== undefined && totalBytes > 0) {
    const share = Math.min(bytes, totalBytes) / totalBytes
    parts.push(`${Math.floor(share * 100)} %`)
    const left = (Math.max(0, totalBytes - bytes) * recent.seconds) / recent.bytes
    if (Number.isFinite(left)) parts.push(`${clock(left)} left`)
    // Last, since a narrow terminal cuts it off there.
    parts.push(`[${'#'.repeat(Math.floor(share * BAR_WIDTH)).padEnd(BAR_WIDTH)}]`)
  }
  return parts.join('  ')
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  const minutes = `${two((whole / 60) % 60)}:${two(whole % 60)}`
  return whole < 3_600 ? minutes : `${Math.floor(whole / 3_600)}:${minutes}`
}
