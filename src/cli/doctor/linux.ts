/** Findings about netmem/linux. */

import { wakeBatching } from '../../linux/wake-batching.ts'
import { describeError } from '../exit.ts'
import { Feature, type Finding, finder } from './finding.ts'

export async function linuxFindings(): Promise<Finding[]> {
  const { ok, warn } = finder(Feature.linux)
  const name = 'koffi'
  try {
    await wakeBatching()
    return [
      ok(
        name,
        'wakeBatching and hugeMemory can be had; the commands use wakeBatching by themselves',
      ),
    ]
  } catch (error) {
    return [warn(name, describeError(error).message, 'On Linux: npm install koffi@3')]
  }
}
