/** The file at the destination of a resumed transfer, which may be the whole body already. */

import { type FileHandle, open } from 'node:fs/promises'
import { streamDigest } from '../digest/digest.ts'
import type { Entity } from '../entity.ts'
import type { Settings } from '../settings.ts'
import type { ResolvedPath } from './file-path.ts'
import { readThrough } from './read-through.ts'

/** A file that may be the whole body. */
export interface PresentFile {
  readonly entity: Entity & { readonly length: number }
  /** Digest of the file, where one was asked for. */
  readonly sha256: string | undefined
}

/**
 * Returns the present file if it has the expected digest. Without an expected digest, it must have the
 * date of a version. Otherwise returns `undefined`.
 */
export async function presentFile(
  { path, mode }: ResolvedPath,
  settings: Settings,
): Promise<PresentFile | undefined> {
  if (mode === undefined) return undefined
  const { expectedSha256 } = settings
  await using file = await open(path, 'r')
  const { size, mtimeMs } = await file.stat()
  const isDated = mtimeMs % 1000 === 0 && Date.now() - mtimeMs >= 1000
  if (size === 0 || (expectedSha256 === undefined && !isDated)) return undefined
  const sha256 = settings.sha256 ? await digestOf(file, size) : undefined
  if (expectedSha256 !== undefined && sha256 !== expectedSha256) return undefined
  // The digest proves more than a date, which the server need not know.
  const date = expectedSha256 === undefined ? new Date(mtimeMs).toUTCString() : undefined
  const entity = { length: size, etag: undefined, lastModified: date, validator: date }
  return { entity, sha256 }
}

async function digestOf(file: FileHandle, bytes: number): Promise<string> {
  const digest = streamDigest(bytes)
  try {
    await readThrough(file, 0, bytes, (step) => digest.update(step))
    return await digest.hex()
  } finally {
    // Give the thread back if the file cannot be read.
    digest.drop()
  }
}
