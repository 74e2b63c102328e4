/**
 * Where received bytes are written: a file, or stdout. Both through `fs`, which writes in another
 * thread: a pipe that nobody reads must not keep this one from hearing signals.
 */

import fs from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'

const open = promisify(fs.open)
const write = promisify(fs.write)
const close = promisify(fs.close)

const STDOUT = 1
/** Somebody has made the pipe non-blocking, and it is full. */
const RETRY_MS = 1

export class Sink {
  readonly #fd: number

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Opens a file anew, or stdout where `path` is `-`. */
  static async open(path: string): Promise<Sink> {
    return new Sink(path === '-' ? STDOUT : await open(path, 'w'))
  }

  /** Writes all of `bytes`, which must stay as they are until then. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      try {
        at += (await write(this.#fd, bytes, at, bytes.byteLength - at)).bytesWritten
      } catch (error) {
        if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'EAGAIN') throw error
        await setTimeout(RETRY_MS)
      }
    }
  }

  async close(): Promise<void> {
    if (this.#fd !== STDOUT) await close(this.#fd)
  }
}
