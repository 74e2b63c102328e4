/** Counting the descriptors of this process in tests; not published. */

import { readdirSync, readlinkSync } from 'node:fs'
import { until } from './waiting.test.helper.ts'

/** Returns the open descriptors of this process, each with what it is, such as `21 socket:[4711]`. */
export function openDescriptors(): string[] {
  const folder = '/proc/self/fd'
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`${folder}/${fd}`)}`]
    } catch {
      // The descriptor with which the folder was read is closed.
      return []
    }
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
