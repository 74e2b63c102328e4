/** Low-water marks for the commands' connections. */

import { lowWater } from '../linux/index.ts'
import type { LowWater } from '../net/index.ts'

/** Returns options to spread into those of `listen` or `getInto`; empty without Linux or koffi. */
export async function lowWaterIfAny(): Promise<{ readonly lowWater?: LowWater }> {
  try {
    return { lowWater: await lowWater() }
  } catch {
    return {}
  }
}
