/** Programs to try netmem against. */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { Feature, type Finding, finder } from './finding.ts'

const TOOLS = [
  { name: 'iperf3', use: 'measures `netmem iperf3`' },
  { name: 'nc', use: 'sends to `netmem recv`' },
  { name: 'socat', use: 'sends to `netmem recv`' },
] as const

export function toolFindings(): Finding[] {
  const { ok, missing } = finder(Feature.tools)
  return TOOLS.map(({ name, use }) => {
    const path = find(name)
    if (path !== undefined) return ok(name, use)
    const remedy = `apt-get install ${name === 'nc' ? 'netcat-openbsd' : name}, or brew install ${name === 'nc' ? 'netcat' : name}`
    return missing(name, `not in the PATH; it ${use}`, remedy)
  })
}

function find(name: string): string | undefined {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name + suffix))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
