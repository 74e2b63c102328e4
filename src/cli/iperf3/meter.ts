/**
 * Counts what the streams of a running test receive: once a second, without the omitted seconds,
 * and in all.
 */

import { streamId } from './protocol.ts'
import type { DataStream } from './stream.ts'

/** CPU use of this process, in percent of one CPU. */
interface CpuUse {
  readonly total: number
  readonly user: number
  readonly system: number
}

export interface StreamResult {
  readonly id: number
  readonly bytes: number
}

/** Bytes that came in some time. */
interface Amount {
  readonly bytes: number
  readonly bitsPerSecond: number
  readonly streams: readonly StreamResult[]
}

/** Bytes of about one second. */
export interface IntervalSample extends Amount {
  /** Seconds since the start, or since the end of the omitted seconds. */
  readonly startSeconds: number
  readonly endSeconds: number
  /** Part of the warm-up that does not count (`-O`). */
  readonly omitted: boolean
}

export interface Measurement extends Amount {
  readonly seconds: number
  /** CPU time of this process over the whole test. */
  readonly cpu: CpuUse
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

export interface Meter {
  /** Returns the bytes received so far. */
  readonly bytes: () => number
  /** Ends the measurement, at an earlier moment if the last byte came earlier. */
  readonly stop: (at?: number) => Measurement
}

/** Begins to measure. */
export function startMeter(
  streams: readonly DataStream[],
  omitSeconds: number,
  onInterval: (sample: IntervalSample) => void,
): Meter {
  const cpuAtStart = process.cpuUsage()
  const beganAt = performance.now()
  /** Time at which counting began: the start, or the end of the omitted seconds. */
  let countedFrom = beganAt
  let intervalFrom = beganAt
  let bytesBefore: readonly number[] = []
  let omitted = omitSeconds > 0
  const counts = (): StreamResult[] =>
    streams.map((stream, i) => ({ id: streamId(i), bytes: stream.bytes }))

  const sample = (now: number): void => {
    const seconds = (now - intervalFrom) / 1_000
    if (seconds < SHORTEST_INTERVAL_SECONDS && intervalFrom !== countedFrom) return
    const ofStreams = counts().map(({ id, bytes }, i) => ({
      id,
      bytes: bytes - (bytesBefore[i] ?? 0),
    }))
    const bytes = sum(ofStreams)
    onInterval({
      startSeconds: (intervalFrom - countedFrom) / 1_000,
      endSeconds: (now - countedFrom) / 1_000,
      bytes,
      bitsPerSecond: rate(bytes, seconds),
      omitted,
      streams: ofStreams,
    })
    intervalFrom = now
    bytesBefore = streams.map((stream) => stream.bytes)
  }
  const ticking = setInterval(() => sample(performance.now()), INTERVAL_MILLISECONDS)

  /** Ends the warm-up: bytes so far do not count. */
  const startCounting = (): void => {
    const now = performance.now()
    sample(now)
    omitted = false
    for (const stream of streams) stream.bytes = 0
    bytesBefore = []
    countedFrom = now
    intervalFrom = now
    ticking.refresh()
  }
  const omitting = omitted ? setTimeout(startCounting, omitSeconds * 1_000) : undefined

  return {
    bytes: () => sum(streams),
    stop: (at = performance.now()) => {
      clearInterval(ticking)
      clearTimeout(omitting)
      sample(at)
      const seconds = Math.max(0, at - countedFrom) / 1_000
      const bytes = sum(streams)
      const bitsPerSecond = rate(bytes, seconds)
      return { bytes, seconds, bitsPerSecond, cpu: cpuUse(cpuAtStart, beganAt), streams: counts() }
    },
  }
}

function sum(streams: readonly { readonly bytes: number }[]): number {
  return streams.reduce((all, { bytes }) => all + bytes, 0)
}

function cpuUse(start: NodeJS.CpuUsage, beganAt: number): CpuUse {
  const { user, system } = process.cpuUsage(start)
  const microseconds = (performance.now() - beganAt) * 1_000
  const percent = (spent: number): number => (spent / microseconds) * 100
  return { total: percent(user + system), user: percent(user), system: percent(system) }
}

function rate(bytes: number, seconds: number): number {
  return seconds > 0 ? (bytes * 8) / seconds : 0
}
