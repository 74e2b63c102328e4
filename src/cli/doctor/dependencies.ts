/** Findings about the optional dependencies: undici adds proxies to netmem/http, koffi is for netmem/linux. */

import { wakeBatching } from '../../linux/wake-batching.ts'
import { describeError } from '../exit.ts'
import { Feature, type Finding, finder } from './finding.ts'

const http = finder(Feature.http)
const linux = finder(Feature.linux)

export async function undiciFinding(): Promise<Finding> {
  try {
    await import('undici')
    return http.ok('undici', 'proxies')
  } catch (error) {
    const installed = describeError(error).code !== 'ERR_MODULE_NOT_FOUND'
    const state = installed ? 'cannot be loaded' : 'not installed'
    return http.warn('undici', `${state}; it is for proxies`, 'npm install undici@7')
  }
}

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
