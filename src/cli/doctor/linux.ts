/** Findings about netmem/linux. */

import { lowWater } from '../../linux/index.ts'
import { describeError } from '../exit.ts'
import { Feature, type Finding, finder } from './finding.ts'

export async function linuxFindings(): Promise<Finding[]> {
  const { ok, warn } = finder(Feature.linux)
  const name = 'koffi'
  try {
    await lowWater()
    return [ok(name, 'lowWater and hugeMemory can be had; the commands use lowWater by themselves')]
  } catch (error) {
    return [warn(name, describeError(error).message, 'On Linux: npm install koffi@3')]
  }
}
