/** A body that a server has to send without long pauses. */

import type { HostFrag } from '../../pool/frag.ts'
import type { Body } from './body.ts'
import type { StallTimer } from './stall-timer.ts'

export class TimedBody implements Body {
  readonly length: number | undefined
  readonly #body: Body
  readonly #timer: StallTimer
  readonly #stallTimeoutMs: number

  constructor(body: Body, timer: StallTimer, stallTimeoutMs: number) {
    this.length = body.length
    this.#body = body
    this.#timer = timer
    this.#stallTimeoutMs = stallTimeoutMs
  }

  get left(): number | undefined {
    return this.#body.left
  }

  readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const timer = this.#timer
    return this.#timed(
      this.#body.readInto(view, (bytes) => {
        timer.touch()
        onProgress(bytes)
      }),
    )
  }

  next(): Promise<HostFrag | undefined> {
    return this.#timed(this.#body.next())
  }

  dropPresent(): void {
    this.#body.dropPresent()
  }

  atEnd(): Promise<boolean> {
    return this.#timed(this.#body.atEnd())
  }

  async #timed<T>(work: Promise<T>): Promise<T> {
    this.#timer.resume(this.#stallTimeoutMs)
    try {
      return await work
    } finally {
      this.#timer.pause()
    }
  }
}
