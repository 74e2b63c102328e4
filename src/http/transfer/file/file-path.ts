/** Paths of files to write, and remedies of the file system's errors. */

import { readlink, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { HttpError } from '../../http-error.ts'

/** A path with its links followed. */
export interface ResolvedPath {
  readonly path: string
  /** True for a file, present or not. False for a device or a pipe, which is written to directly. */
  readonly regular: boolean
  /** Permissions of the present file, which its successor gets. Absent without a file. */
  readonly mode?: number
}

/** Limit of links, as in the kernel. */
const MAX_LINKS = 40

/** Follows links, so that a transfer replaces their file and not the links. */
export async function resolveTarget(
  path: string,
  links: number = MAX_LINKS,
): Promise<ResolvedPath> {
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => error)
  if (status instanceof Error) {
    const led = links === 0 ? undefined : await readlink(path).catch(() => undefined)
    if (led !== undefined) return resolveTarget(resolve(dirname(path), led), links - 1)
    if (status.code !== 'ENOENT') throw status
    // Leave the error of a name with a slash at its end to the kernel.
    if (path.endsWith('/')) return { path, regular: false }
    // An absolute path is safe from process.chdir().
    return { path: resolve(path), regular: true }
  }
  // The file behind /dev/stdout may have no path.
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
