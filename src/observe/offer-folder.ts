/** The folder in which processes of a user offer their pools. */

import { lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConnectionError } from '../errors.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_POOLS_NOT_OFFERED: 'ConnectionError'
  }
}

/** Runtime folders of all users (systemd, pam_systemd(8)). */
const RUN_USER = '/run/user'

/** Returns this user's folder: below `XDG_RUNTIME_DIR`, `/run/user`, or the folder for temporary files. */
export function offerFolder(): string {
  const { XDG_RUNTIME_DIR: runtime = '' } = process.env
  if (runtime !== '') return join(runtime, 'netmem')
  const uid = process.getuid?.() ?? 0
  const own = join(RUN_USER, String(uid))
  return isFolder(own) ? join(own, 'netmem') : join(tmpdir(), `netmem-${uid}`)
}

/** Returns the folders that this user may look into. Root may look into the folders of all users. */
export function readableFolders(): string[] {
  const folders = new Set([offerFolder()])
  if (process.getuid?.() === 0 && isFolder(RUN_USER)) {
    for (const uid of readdirSync(RUN_USER)) folders.add(join(RUN_USER, uid, 'netmem'))
  }
  return [...folders].filter(isFolder)
}

/** Makes the folder, for this user alone. Throws NETMEM_POOLS_NOT_OFFERED if it is another user's. */
export function makeOfferFolder(folder: string): void {
  let problem: string
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const stat = lstatSync(folder)
    if (stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0) return
    problem = 'it is not a folder of this user alone'
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error)
  }
  throw notOffered(folder, problem)
}

const REMEDY = 'Set XDG_RUNTIME_DIR to a folder of this user with mode 0700.'

/** Error of an offer that cannot be made at a path. */
export function notOffered(
  path: string,
  problem: string,
  { remedy = REMEDY, cause }: { readonly remedy?: string; readonly cause?: unknown } = {},
): ConnectionError {
  const message = `Pools cannot be offered at ${path}: ${problem}. ${remedy}`
  return new ConnectionError('NETMEM_POOLS_NOT_OFFERED', message, { cause })
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
