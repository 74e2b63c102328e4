/** Counting the descriptors of this process in tests. Not published. */

import { readdirSync, readlinkSync } from 'node:fs'
import { until } from './waiting.test.helper.ts'

const FOLDER = '/proc/self/fd'

/** Returns what a descriptor is, such as `socket:[4711]`, or undefined for one that is closed. */
function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`${FOLDER}/${fd}`)
  } catch {
    return undefined
  }
}

/**
 * Returns the open descriptors of this process, each with what it is, such as `21 socket:[4711]`.
 *
 * Standard streams are left out: Node opens a terminal once more when it is first written to.
 */
export function openDescriptors(): string[] {
  const standard = ['0', '1', '2'].map(targetOf)
  return readdirSync(FOLDER).flatMap((fd) => {
    const target = targetOf(fd)
    // The descriptor with which the folder was read is closed.
    return target === undefined || standard.includes(target) ? [] : [`${fd} ${target}`]
  })
}

/**
 * Waits until every descriptor is closed that was not open `before`.
 *
 * The engine, its threads and libuv close theirs in a later turn of the event loop.
 */
export async function noneOpenSince(before: readonly string[]): Promise<void> {
  const opened = (): string[] => openDescriptors().filter((each) => !before.includes(each))
  await until(
    () => opened().length === 0,
    () => `closed: ${opened().join(', ')}`,
  )
}
