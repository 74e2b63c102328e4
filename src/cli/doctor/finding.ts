/** Findings of `netmem doctor`, and their text. */

import { accessSync } from 'node:fs'
import { readText } from '../../linux/read-text.ts'

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
  linux: 'Fast links and large bodies: wakeBatching and hugeMemory of netmem/linux',
  tools: 'Programs to try netmem with',
  netlink: 'Netlink: openNetlink of netmem/linux, and netmem pools',
  dmaBuf: 'dma-bufs as memory: udmabufProvider, dmaHeapProvider, and netmem recv --memory udmabuf',
  devmem: "The kernel's device memory TCP: bindRx, bindTx and prepareQueues of netmem/linux",
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

/** True if this process has access to a file, by R_OK, W_OK and X_OK. */
export function mayUse(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** Soft limit of this process. Node.js raises the limit of files to the hard limit where it can. */
export function processLimit(name: string): number | undefined {
  const line = readText('/proc/self/limits')
    ?.split('\n')
    .find((each) => each.startsWith(name))
  const soft = line?.slice(name.length).trim().split(/\s+/)[0]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}
