/** Findings of `netmem doctor`, and their text. */

import { readFileSync } from 'node:fs'

export interface Finding {
  readonly name: string
  /** The feature of netmem that the finding is for. */
  readonly feature: Feature
  /** `warn`: the feature works, but less well than it could. */
  readonly status: 'ok' | 'warn' | 'missing'
  readonly value: string
  /** Remedy, unless the finding is ok. */
  readonly remedy?: string
}

/** Headline of a part of netmem. */
export const Feature = {
  all: 'Everything',
  memory: 'Memory to receive into: hostProvider, sharedProvider, externalProvider',
  net: 'Sockets: netmem/net, and netmem recv, send and iperf3',
  http: 'HTTP: netmem/http, and netmem get',
  linux: 'Fast links and large bodies: wakeBatching and hugeMemory of netmem/linux',
  tools: 'Programs to try netmem with',
  later:
    "The kernel's own device memory TCP, which netmem does not do yet: nothing of this is used",
} as const
export type Feature = (typeof Feature)[keyof typeof Feature]

/** Makes findings about one feature. */
export interface Finder {
  ok(name: string, value: string): Finding
  /** The feature works, but less well than it could. */
  warn(name: string, value: string, remedy: string): Finding
  missing(name: string, value: string, remedy: string): Finding
}

export function finder(feature: Feature): Finder {
  return {
    ok: (name, value) => ({ name, feature, status: 'ok', value }),
    warn: (name, value, remedy) => ({ name, feature, status: 'warn', value, remedy }),
    missing: (name, value, remedy) => ({ name, feature, status: 'missing', value, remedy }),
  }
}

/** Returns the trimmed text of a small file; `undefined` if it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
