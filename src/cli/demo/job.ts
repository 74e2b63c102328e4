/** Messages between the demo's processes, and the measurement of a receiver. */

import { readFileSync } from 'node:fs'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

import type { PagePoolStats } from '../../index.ts'
import type { Described } from '../exit.ts'
import type { PoolOptions } from '../options.ts'
import { Pattern, Verifier } from '../pattern.ts'

/** Receivers to compare. `concat` and `whole` only with --concat. */
export type ReceiverName = 'data' | 'pool' | 'into' | 'concat' | 'whole'

/** Options of a demo. */
export interface DemoOptions extends PoolOptions {
  readonly bytes: number
  readonly rounds: number
  readonly pattern: number
  readonly destination: number
  readonly concat?: true
  /** Offset of a byte to send wrong, to see that it is noticed. */
  readonly corrupt?: number
}

export interface SenderJob {
  readonly role: 'sender'
  readonly options: DemoOptions
}

export interface ReceiverJob {
  readonly role: ReceiverName
  readonly options: DemoOptions
  readonly port: number
  /** True if progress is shown. */
  readonly live: boolean
}

export type Job = SenderJob | ReceiverJob

export type JobMessage =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'progress'; readonly bytes: number }
  | { readonly kind: 'done'; readonly measurement: RunMeasurement }
  | { readonly kind: 'failed'; readonly error: Described }

export interface RunMeasurement {
  /** Bytes that were received and verified. */
  readonly bytes: number
  readonly firstWrong: number | undefined
  /** Seconds from connecting to the last byte verified. */
  readonly seconds: number
  /** User and system time of the whole process in those seconds. */
  readonly cpuSeconds: number
  /** Resident memory with the verifier's pattern, before any memory to receive into. */
  readonly baseBytes: number
  /** Peak resident memory. */
  readonly peakBytes: number
  readonly majorCollections: number
  readonly minorCollections: number
  readonly pool: PagePoolStats | undefined
}

/**
 * Receives and verifies. Returns the counters of its pool if it has one. Calls `begin()`, which starts
 * the clock, after it has got its memory and before it connects.
 */
export type Receive = (
  job: ReceiverJob,
  verifier: Verifier,
  begin: () => void,
) => Promise<PagePoolStats | undefined>

const PROGRESS_MS = 200
/** Collections are reported to observers with a delay. */
const SETTLE_MS = 20

export async function measure(
  job: ReceiverJob,
  receive: Receive,
  onProgress: (bytes: number) => void,
): Promise<RunMeasurement> {
  const verifier = new Verifier(new Pattern(job.options.pattern))
  const collections: { readonly kind: unknown; readonly at: number }[] = []
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind: unknown = Reflect.get(Object(Reflect.get(entry, 'detail')), 'kind')
      collections.push({ kind, at: entry.startTime })
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  const timer = job.live ? setInterval(() => onProgress(verifier.bytes), PROGRESS_MS) : undefined

  const baseBytes = process.memoryUsage.rss()
  let cpu = process.cpuUsage()
  let began = performance.now()
  const pool = await receive(job, verifier, () => {
    cpu = process.cpuUsage()
    began = performance.now()
  })
  const ended = performance.now()
  const { user, system } = process.cpuUsage(cpu)

  clearInterval(timer)
  await setTimeout(SETTLE_MS)
  observer.disconnect()
  const count = (wanted: number): number =>
    collections.filter(({ kind, at }) => kind === wanted && at >= began && at <= ended).length
  return {
    bytes: verifier.bytes,
    firstWrong: verifier.firstWrong,
    seconds: (ended - began) / 1_000,
    cpuSeconds: (user + system) / 1e6,
    baseBytes,
    peakBytes: peakResidentBytes(),
    majorCollections: count(constants.NODE_PERFORMANCE_GC_MAJOR),
    minorCollections: count(constants.NODE_PERFORMANCE_GC_MINOR),
    pool,
  }
}

/**
 * Returns the peak resident memory. Linux includes the parent's memory in `maxRSS` (fs/exec.c), but
 * not in VmHWM.
 */
function peakResidentBytes(): number {
  try {
    const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kilobytes !== undefined) return Number(kilobytes) * 1_024
  } catch {
    // Another system than Linux.
  }
  return process.resourceUsage().maxRSS * 1_024
}
