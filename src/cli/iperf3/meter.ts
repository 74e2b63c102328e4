/**
 * Counts what the streams of a running test receive: once a second, without the omitted seconds,
 * and in all.
 */

import { streamId } from './protocol.ts'
import type { CpuUse, StreamResult } from './results.ts'
import type { DataStream } from './stream.ts'

/** Bytes of about one second. */
export interface IntervalSample {
  /** Seconds since the start, or since the end of the omitted seconds. */
  readonly startSeconds: number
  readonly endSeconds: number
  readonly bytes: number
  readonly bitsPerSecond: number
  /** Part of the warm-up that does not count (`-O`). */
  readonly omitted: boolean
  readonly streams: readonly StreamResult[]
}

export interface Measurement {
  readonly bytes: number
  readonly seconds: number
  readonly bitsPerSecond: number
  /** CPU time of this process over the whole test. */
  readonly cpu: CpuUse
  readonly streams: readonly StreamResult[]
}

export const NOTHING_MEASURED: Measurement = {
  bytes: 0,
  seconds: 0,
  bitsPerSecond: 0,
  cpu: { total: 0, user: 0, system: 0 },
  streams: [],
}

const INTERVAL_MILLISECONDS = 1_000
/** iperf3 leaves out a last interval shorter than a tenth, unless it is the only one. */
const SHORTEST_INTERVAL_SECONDS = 0.1

export class Meter {
  readonly #streams: readonly DataStream[]
  readonly #onInterval: (sample: IntervalSample) => void
  readonly #cpuAtStart = process.cpuUsage()
  readonly #beganAt = performance.now()
  readonly #ticking: NodeJS.Timeout
  #omitting: NodeJS.Timeout | undefined
  /** Time at which counting began: the start, or the end of the omitted seconds. */
  #countedFrom = this.#beganAt
  #intervalFrom = this.#beganAt
  #bytesBefore: readonly number[] = []

  /** Starts at once. */
  constructor(
    streams: readonly DataStream[],
    omitSeconds: number,
    onInterval: (sample: IntervalSample) => void,
  ) {
    this.#streams = streams
    this.#onInterval = onInterval
    this.#ticking = setInterval(() => this.#sample(performance.now()), INTERVAL_MILLISECONDS)
    if (omitSeconds > 0)
      this.#omitting = setTimeout(() => this.#startCounting(), omitSeconds * 1_000)
  }

  /** Bytes received so far. */
  get bytes(): number {
    return this.#streams.reduce((sum, stream) => sum + stream.bytes, 0)
  }

  /** Ends the measurement, at an earlier moment if the last byte came earlier. */
  stop(at: number = performance.now()): Measurement {
    this.cancel()
    this.#sample(at)
    const seconds = Math.max(0, at - this.#countedFrom) / 1_000
    const bytes = this.bytes
    return {
      bytes,
      seconds,
      bitsPerSecond: rate(bytes, seconds),
      cpu: this.#cpu(),
      streams: this.#counts(),
    }
  }

  /** Stops the timers. */
  cancel(): void {
    clearInterval(this.#ticking)
    clearTimeout(this.#omitting)
  }

  #sample(now: number): void {
    const seconds = (now - this.#intervalFrom) / 1_000
    if (seconds < SHORTEST_INTERVAL_SECONDS && this.#intervalFrom !== this.#countedFrom) return
    const streams = this.#counts().map(({ id, bytes }, i) => ({
      id,
      bytes: bytes - (this.#bytesBefore[i] ?? 0),
    }))
    const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0)
    this.#onInterval({
      startSeconds: (this.#intervalFrom - this.#countedFrom) / 1_000,
      endSeconds: (now - this.#countedFrom) / 1_000,
      bytes,
      bitsPerSecond: rate(bytes, seconds),
      omitted: this.#omitting !== undefined,
      streams,
    })
    this.#intervalFrom = now
    this.#bytesBefore = this.#streams.map((stream) => stream.bytes)
  }

  /** Ends the warm-up: bytes so far do not count. */
  #startCounting(): void {
    const now = performance.now()
    this.#sample(now)
    this.#omitting = undefined
    for (const stream of this.#streams) stream.bytes = 0
    this.#bytesBefore = []
    this.#countedFrom = now
    this.#intervalFrom = now
    this.#ticking.refresh()
  }

  #counts(): StreamResult[] {
    return this.#streams.map((stream, i) => ({ id: streamId(i), bytes: stream.bytes }))
  }

  #cpu(): CpuUse {
    const { user, system } = process.cpuUsage(this.#cpuAtStart)
    const microseconds = (performance.now() - this.#beganAt) * 1_000
    const percent = (spent: number) => (spent / microseconds) * 100
    return { total: percent(user + system), user: percent(user), system: percent(system) }
  }
}

function rate(bytes: number, seconds: number): number {
  return seconds > 0 ? (bytes * 8) / seconds : 0
}
