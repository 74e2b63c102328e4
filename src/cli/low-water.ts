/** Low-water marks for what the commands receive, where they can be had. */

import { lowWater } from '../linux/index.ts'
import type { LowWater } from '../net/index.ts'

/** To be spread into the options of `listen` or `getInto`; empty without Linux or koffi. */
export async function lowWaterIfAny(): Promise<{ readonly lowWater?: LowWater }> {
  try {
    return { lowWater: await lowWater() }
  } catch {
    return {}
  }
}
