/**
 * Reports of memory that does not come back: `netmem:leak` and `netmem:destroy` on
 * `node:diagnostics_channel`, or a process warning where nobody listens. Engines without Node's
 * modules get a line on the console.
 */

/** A frag was collected without having been released; its memory stays out. */
export interface LeakReport {
  readonly pageSize: number
  /** The stack that received the frag, where the pool was made with `traceLeaks`. */
  readonly stack: string | undefined
}

/** A destroyed pool still waits for memory. */
export interface DestroyReport {
  readonly inflight: number
  readonly seconds: number
}

/** As often as the kernel repeats it (net/core/page_pool.c). */
const REMINDER_MS = 60_000

export function reportLeak(report: LeakReport): void {
  const origin =
    report.stack ?? 'Make the pool with { traceLeaks: true } to learn where it was received.'
  publish(
    'netmem:leak',
    report,
    `A frag was dropped without release(); its page of ${report.pageSize} bytes stays out of the pool. ${origin}`,
  )
}

/** Repeats a report until `done` settles; does not keep the process alive. */
export function remindOfDestroy(done: Promise<void>, inflight: () => number): void {
  if (typeof setInterval !== 'function') return
  const started = Date.now()
  const timer = setInterval(() => {
    const report: DestroyReport = {
      inflight: inflight(),
      seconds: Math.round((Date.now() - started) / 1000),
    }
    publish(
      'netmem:destroy',
      report,
      `A pool destroyed ${report.seconds} s ago waits for ${report.inflight} netmem that have not been given back.`,
    )
  }, REMINDER_MS)
  if (isTimer(timer)) timer.unref()
  void done.then(() => clearInterval(timer))
}

function isTimer(timer: unknown): timer is { unref(): void } {
  return typeof timer === 'object' && timer !== null && 'unref' in timer
}

function publish(name: string, report: LeakReport | DestroyReport, message: string): void {
  const { process } = globalThis
  const channel = process?.getBuiltinModule?.('node:diagnostics_channel')?.channel(name)
  if (channel?.hasSubscribers) channel.publish(report)
  else if (process?.emitWarning !== undefined)
    process.emitWarning(message, { type: 'NetmemWarning', code: name })
  else globalThis.console?.warn(message)
}
