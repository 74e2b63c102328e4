/** Low-water marks for the commands' connections. */

import { wakeBatching } from '../linux/wake-batching.ts'
import type { WakeBatching } from '../net/index.ts'

/** Returns options to spread into the options of `listen` or `getInto`. Empty without Linux or koffi. */
export async function wakeBatchingIfAny(): Promise<{ readonly wakeBatching?: WakeBatching }> {
  try {
    return { wakeBatching: await wakeBatching() }
  } catch {
    return {}
  }
}
