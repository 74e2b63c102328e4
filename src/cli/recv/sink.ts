/**
 * A file or stdout to write received bytes to. Both go through `fs`, which writes in another
 * thread, so that a pipe without a reader does not block signals.
 */

import fs from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { resolveTarget } from '../../http/transfer/file/file-path.ts'
import { PartFile } from '../../http/transfer/file/part-file.ts'
import { usage } from '../exit.ts'
import { isFolder, makeFolderOf } from '../folder.ts'

const write = promisify(fs.write)

const STDOUT = 1
/** Wait before another write to a full, non-blocking pipe. */
const RETRY_MS = 1

/** Throws USAGE for an `--out` that is no file. Does not open it. */
export async function checkOut(path: string): Promise<void> {
  if (path !== '-' && (await isFolder(path))) {
    throw usage(`--out ${path} is a folder; name a file in it.`)
  }
}

export class Sink implements AsyncDisposable {
  /** `undefined` for stdout, and once it has ended. */
  #part: PartFile | undefined

  private constructor(part: PartFile | undefined) {
    this.#part = part
  }

  /**
   * Opens stdout where `path` is `-`, and otherwise a file under another name, which {@link commit}
   * renames. Makes the folders of `path`.
   */
  static async open(path: string): Promise<Sink> {
    await checkOut(path)
    if (path === '-') return new Sink(undefined)
    await makeFolderOf(path)
    return new Sink(await PartFile.create(await resolveTarget(path)))
  }

  /** Writes all of `bytes`, which must stay as they are until then. */
  async write(bytes: Uint8Array): Promise<void> {
    const handle = this.#part?.handle
    for (let at = 0; at < bytes.byteLength; ) {
      const left = bytes.byteLength - at
      try {
        const writing = handle?.write(bytes, at, left) ?? write(STDOUT, bytes, at, left)
        at += (await writing).bytesWritten
      } catch (error) {
        if (!(error instanceof Error)) throw error
        if (Reflect.get(error, 'code') === 'EAGAIN') await setTimeout(RETRY_MS)
        else throw handle === undefined ? Object.assign(error, { path: 'stdout' }) : error
      }
    }
  }

  /** Renames a complete and checked file to its final name. */
  async commit(): Promise<void> {
    await this.#part?.finish()
    this.#part = undefined
  }

  /** Removes a file that was not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Closing a pipe would wait for its reader.
    if (this.#part?.regular) await this.#part.discard()
  }
}
