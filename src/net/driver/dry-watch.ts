/**
 * Watches the connections that wait for a pool's memory: keeps the process alive for them,
 * and reports when nothing comes back.
 */

import type { Page } from '../../netmem.ts'
import { reportDry } from '../../pool/dry-report.ts'
import type { PagePool } from '../../pool/page-pool.ts'

const LOOK_MS = 1000
/** The pause between two reports of one pool doubles up to this. */
const LONGEST_PAUSE_MS = 60_000

export class DryWatch {
  readonly #pool: PagePool<Page>
  #timer: NodeJS.Timeout | undefined
  #waiting = 0
  /** False if memory came back, or no connection waited, at some time since the last look. */
  #dry = false
  #since = new Date(0)
  #pauseMs = LOOK_MS
  #nextAt = 0
  #warned = false

  constructor(pool: PagePool<Page>) {
    this.#pool = pool
  }

  /**
   * Told how many connections wait for memory whenever that changes. While one of them is
   * `referenced` the event loop goes on: a paused socket does not keep it, so that a program would
   * end with exit code 0 in the middle of a transfer.
   */
  update(waiting: number, referenced: boolean): void {
    if (waiting > 0 && this.#timer === undefined) {
      this.#timer = setInterval(() => this.look(Date.now()), LOOK_MS)
      this.#dry = true
    }
    if (waiting === 0) this.#dry = false
    if (this.#waiting === 0 && waiting > 0) this.#since = new Date()
    this.#waiting = waiting
    if (referenced) this.#timer?.ref()
    else this.#timer?.unref()
  }

  /** Memory has come back. */
  cameBack(): void {
    this.#dry = false
    this.#since = new Date()
  }

  /** Looks once a second whether the pool was dry all the time. Public for tests. */
  look(now: number): void {
    if (this.#waiting === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    if (this.#dry && now >= this.#nextAt) {
      reportDry(this.#pool, this.#waiting, this.#since, !this.#warned)
      this.#warned = true
      this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
      this.#nextAt = now + this.#pauseMs
    }
    this.#dry = true
  }
}
