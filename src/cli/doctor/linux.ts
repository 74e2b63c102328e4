/** What netmem/linux offers here. */

import { lowWater } from '../../linux/index.ts'
import { describeError } from '../exit.ts'
import { type Finding, ok, warn } from './finding.ts'

export async function linuxFindings(): Promise<Finding[]> {
  const name = 'netmem/linux'
  try {
    await lowWater()
    return [ok(name, 'low-water marks and memory in huge pages')]
  } catch (error) {
    const remedy = 'On Linux: npm install koffi@3, for fast links and large bodies.'
    return [warn(name, describeError(error).message, remedy)]
  }
}
