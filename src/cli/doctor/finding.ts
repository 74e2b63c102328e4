/** What `netmem doctor` finds, and how it looks. */

import { readFileSync } from 'node:fs'

export interface Finding {
  readonly name: string
  /** `warn`: it works, less well than it could. */
  readonly status: 'ok' | 'warn' | 'missing'
  readonly value: string
  /** What to do about it, unless it is ok. */
  readonly remedy?: string
}

export function ok(name: string, value: string): Finding {
  return { name, status: 'ok', value }
}

export function warn(name: string, value: string, remedy: string): Finding {
  return { name, status: 'warn', value, remedy }
}

export function missing(name: string, value: string, remedy: string): Finding {
  return { name, status: 'missing', value, remedy }
}

/** What a small file says, trimmed; `undefined` where it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
