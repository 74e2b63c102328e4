/**
 * Where received bytes are written: a file, or stdout. Both through `fs`, which writes in another
 * thread: a pipe that nobody reads must not keep this one from hearing signals.
 */

import fs from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { resolveTarget } from '../../http/transfer/part/file-path.ts'
import { PartFile } from '../../http/transfer/part/part-file.ts'
import { makeFolderOf } from '../folder.ts'

const write = promisify(fs.write)

const STDOUT = 1
/** Somebody has made the pipe non-blocking, and it is full. */
const RETRY_MS = 1

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
        if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'EAGAIN') throw error
        await setTimeout(RETRY_MS)
      }
    }
  }

  /** Puts a file in its place, since all bytes are there, and right. */
  async commit(): Promise<void> {
    await this.#part?.finish()
    this.#part = undefined
  }

  /** Leaves nothing of a file that was not committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Closing a pipe would wait for whoever reads it.
    if (this.#part?.regular) await this.#part.discard()
  }
}
