/**
 * Watches the connections that wait for memory of a pool: keeps the process alive for them, and
 * reports a pool that stays dry.
 */

import type { Page } from '../../netmem.ts'
import { reportDry } from '../../pool/dry-report.ts'
import type { PagePool } from '../../pool/page-pool.ts'

const LOOK_MS = 1000
/** Longest pause between two reports of one pool. The pause doubles with each report. */
const LONGEST_PAUSE_MS = 60_000

export class DryWatch {
  readonly #pool: PagePool<Page>
  #timer: NodeJS.Timeout | undefined
  #waiting = 0
  /** False if memory came back, or no connection waited, since the last look. */
  #dry = false
  #since = new Date(0)
  #pauseMs = LOOK_MS
  #nextAt = 0
  #warned = false

  constructor(pool: PagePool<Page>) {
    this.#pool = pool
  }

  /**
   * Updates the number of connections that wait for memory. While one of them is `referenced` the
   * event loop stays alive. A paused socket does not keep it alive, so the program would end with
   * exit code 0 in the middle of a transfer.
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

  /** Notes that memory has come back. */
  cameBack(): void {
    this.#dry = false
    this.#since = new Date()
  }

  /** Checks once a second whether the pool was dry all the time. Public for tests. */
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
