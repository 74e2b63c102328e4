/**
 * Reports of memory that does not come back: `netmem:leak` and `netmem:destroy` on
 * `node:diagnostics_channel`, or a process warning without a subscriber. Engines without Node's
 * modules get a line on the console.
 */

/** Memory that is out, as the reports of a pool list it. */
export interface Holder {
  /** `handle`: memory outside of frags, held by an application, a driver or an skb. */
  readonly kind: 'frag' | 'handle'
  /** Label of the peer, such as `tcp 127.0.0.1:5201`. */
  readonly label: string | undefined
  /** Frames of the application that received or allocated it. */
  readonly stack: string | undefined
  /** Time at which it was received or allocated, in ms since 1970. */
  readonly sinceMs: number
}

/** A frag or an skb was collected without having been given back. Its memory stays out. */
export interface LeakReport {
  /** Object that was collected. */
  readonly kind: 'frag' | 'skb'
  /** Bytes of the memory that stays out. */
  readonly pageSize: number
  /** Label of a frag's peer, such as `tcp 127.0.0.1:5201`, if the pool traces leaks. */
  readonly label: string | undefined
  /** The application's frames that received a frag, if the pool traces leaks. */
  readonly stack: string | undefined
}

/** A destroyed pool still waits for memory. */
export interface DestroyReport {
  /** Netmem that the pool waits for, those in its cache and ring included. */
  readonly inflight: number
  /** Number of them in no frag: of `alloc()`, posted by a driver, or in an skb. */
  readonly handles: number
  /** Seconds since `destroy()`. */
  readonly seconds: number
  /** Holders of the memory, the longest first. Empty unless the pool was made with `traceLeaks`. */
  readonly holders: readonly Holder[]
}

/** Interval at which the kernel repeats its warning (net/core/page_pool.c). */
const REMINDER_MS = 60_000

/** Holders that a warning describes. */
const DESCRIBED = 3

export function reportLeak(report: LeakReport): void {
  const { kind, label, stack, pageSize } = report
  const stays = `${pageSize} bytes stay out of the pool.`
  if (kind === 'skb') {
    // A driver allocated the skb's memory before any packet came, so no stack says more.
    publish('netmem:leak', report, `An skb was dropped without free(); ${stays}`)
    return
  }
  const origin =
    label === undefined && stack === undefined
      ? 'Make the pool with { traceLeaks: true } to learn where it was received.'
      : `Received${originOf(report)}`
  publish('netmem:leak', report, `A frag was dropped without release(); ${stays} ${origin}`)
}

/** Describes netmem that are out and in no frag. Empty without any. */
export function describeHandles(handles: number): string {
  return handles === 0 ? '' : ` Among them in no frag, of alloc(), drivers or skbs: ${handles}.`
}

/** Describes holders in lines of text, the first few of them. */
export function describeHolders(holders: readonly Holder[]): string {
  const lines = holders.slice(0, DESCRIBED).map((holder) => {
    return `${holder.kind} since ${new Date(holder.sinceMs).toISOString()}${originOf(holder)}`
  })
  return lines.join('\n')
}

function originOf({ label, stack }: Pick<Holder, 'label' | 'stack'>): string {
  const from = label === undefined ? '' : ` from ${label}`
  return stack === undefined ? from : `${from} at\n${stack}`
}

/** Pool that is destroyed. */
interface DestroyedPool {
  stats(): Pick<DestroyReport, 'inflight' | 'handles'>
  holders(): readonly Holder[]
}

/** Repeats a report of `pool` until `done` settles. Does not keep the process alive. */
export function remindOfDestroy(done: Promise<void>, pool: DestroyedPool): void {
  if (typeof setInterval !== 'function') return
  const started = Date.now()
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000)
    const { inflight, handles } = pool.stats()
    const holders = pool.holders()
    const report: DestroyReport = { inflight, handles, seconds, holders }
    const oldest = holders.length === 0 ? '' : ` The oldest:\n${describeHolders(holders)}`
    publish(
      'netmem:destroy',
      report,
      `A pool destroyed ${seconds} s ago waits for ${inflight} netmem that have not been given back.${describeHandles(handles)}${oldest}`,
    )
  }, REMINDER_MS)
  if (isTimer(timer)) timer.unref()
  void done.then(() => clearInterval(timer))
}

function isTimer(timer: unknown): timer is { unref(): void } {
  return typeof timer === 'object' && timer !== null && 'unref' in timer
}

/** Publishes a report on a diagnostics channel, or `message`, if given, as a warning without a subscriber. */
export function publish(name: string, report: object, message: string | undefined): void {
  const { process } = globalThis
  const channel = process?.getBuiltinModule?.('node:diagnostics_channel')?.channel(name)
  if (channel?.hasSubscribers) channel.publish(report)
  else if (message === undefined) return
  else if (process?.emitWarning !== undefined)
    process.emitWarning(message, { type: 'NetmemWarning', code: name })
  else globalThis.console?.warn(message)
}
