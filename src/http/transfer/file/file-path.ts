/** The path of a file that is to be written, and what to do when it cannot be. */

import { readlink, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { HttpError } from '../../http-error.ts'

/** A path as the file system sees it. */
export interface Destination {
  readonly path: string
  /** True for a file, present or to be made; false for a device or a pipe, written to as it is. */
  readonly regular: boolean
  /** Permissions of the present file, which hold for its successor. */
  readonly mode?: number
}

/** As many as the kernel follows. */
const MAX_LINKS = 40

/** Follows links, so that the file they lead to is replaced, or made, and not they. */
export async function resolveTarget(path: string, links: number = MAX_LINKS): Promise<Destination> {
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => error)
  if (status instanceof Error) {
    const led = links === 0 ? undefined : await readlink(path).catch(() => undefined)
    if (led !== undefined) return resolveTarget(resolve(dirname(path), led), links - 1)
    if (status.code !== 'ENOENT') throw status
    // The kernel says what is wrong with a file whose name ends like a folder's.
    if (path.endsWith('/')) return { path, regular: false }
    // Absolute, so that a later process.chdir() changes nothing.
    return { path: resolve(path), regular: true }
  }
  // What /dev/stdout leads to may have no path.
  if (!status.isFile()) return { path, regular: false }
  return { path: await realpath(path), regular: true, mode: status.mode & 0o777 }
}

/** Remedies, by the file system's code. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'Make room there, or choose another place',
  EDQUOT: 'Make room there, or choose another place',
  ENOENT: 'Make the folder first',
  ENOTDIR: 'Choose a path whose folders are folders',
  EISDIR: 'Name a file in that folder',
  ENAMETOOLONG: 'Choose a shorter name',
  ESTALE: 'Get it again',
}

/** Returns an error of the file system with a remedy. */
export function fileError(path: string, cause: unknown): HttpError {
  const message = cause instanceof Error ? cause.message : String(cause)
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  const remedy = (typeof code === 'string' && REMEDIES[code]) || 'Choose another place'
  return new HttpError('NETMEM_HTTP_FILE', `Cannot write ${path}: ${message}. ${remedy}.`, {
    cause,
  })
}
