/** Findings about undici, which adds proxies to netmem/http. */

import { describeError } from '../exit.ts'
import { Feature, type Finding, finder } from './finding.ts'

export async function httpFindings(): Promise<Finding[]> {
  const { ok, warn } = finder(Feature.http)
  const name = 'undici'
  const use = 'proxies'
  try {
    await import('undici')
    return [ok(name, use)]
  } catch (error) {
    const installed = describeError(error).code !== 'ERR_MODULE_NOT_FOUND'
    const value = `${installed ? 'cannot be loaded' : 'not installed'}; it is for ${use}`
    return [warn(name, value, 'npm install undici@7')]
  }
}
