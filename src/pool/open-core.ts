/** Options of a pool, and the class that is made for them. */

import { ArgumentTypeError, type OptionNames, ownOptions } from '../errors.ts'
import { type AnyProvider, checkProvider } from './memory-provider.ts'
import { PoolCore } from './pool-core.ts'

/** Options of `createPool` and `dualPool`. */
export interface PagePoolOptions {
  /** Name of the pool in the list of `pools()`. Default: `pool 1` and so on. */
  readonly name?: string
  /** Slots of the recycle ring: 1 to 16384, rounded up to a power of two. Default: 1024. */
  readonly ringSize?: number
  /**
   * Keeps, for reports, where the application received each frag and allocated each handle, and from
   * which peer. Costs tens of microseconds per frag. Default: off.
   */
  readonly traceLeaks?: boolean
}

const NAMES: OptionNames<PagePoolOptions> = { name: true, ringSize: true, traceLeaks: true }

/** Pools of this thread so far, for their names. */
let made = 0

/** Makes the core of a pool. Throws as `createPool` does. */
export function openCore(provider: AnyProvider, options: PagePoolOptions): PoolCore {
  checkProvider(provider)
  const { name, ringSize, traceLeaks = false } = ownOptions('createPool()', options, NAMES)
  if (name !== undefined && typeof name !== 'string') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `The name of a pool is a string, not ${typeof name}.`,
    )
  }
  const Core = traceLeaks ? TracedCore : PoolCore
  return new Core(provider, name ?? `pool ${++made}`, ringSize, traceLeaks)
}

/** A pool with `traceLeaks`: a separate class, so that other pools have no cost for it. */
class TracedCore extends PoolCore {
  override alloc(): number | undefined {
    const handle = super.alloc()
    if (handle !== undefined) this.traceAllocation(handle)
    return handle
  }
}
