/** Finding about the optional dependency koffi, which is for netmem/linux. */

import { wakeBatching } from '../../linux/wake-batching.ts'
import { describeError } from '../exit.ts'
import { Feature, type Finding, finder } from './finding.ts'

const linux = finder(Feature.linux)

export async function koffiFinding(): Promise<Finding> {
  try {
    await wakeBatching()
    const value =
      'wakeBatching and hugeMemory can be had; the commands use wakeBatching by themselves'
    return linux.ok('koffi', value)
  } catch (error) {
    return linux.warn('koffi', describeError(error).message, 'On Linux: npm install koffi@3')
  }
}
