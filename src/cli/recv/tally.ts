/** All transfers of one `netmem recv`: reported as they end, and added up. */

import type { Described } from '../exit.ts'
import type { Output } from '../output.ts'
import { describeTransfer, type Transfer, type TransferSummary } from './transfer.ts'

/** Summaries kept for the JSON line of a server that runs for long. */
const KEPT_SUMMARIES = 1_000

export class Tally {
  readonly #output: Output
  readonly #running = new Map<Transfer, Promise<void>>()
  readonly #summaries: TransferSummary[] = []
  #connections = 0
  #failed = 0
  #bytes = 0

  constructor(output: Output) {
    this.#output = output
  }

  /** Bytes received so far, by transfers that run too. */
  get bytes(): number {
    return [...this.#running.keys()].reduce((sum, { bytes }) => sum + bytes, this.#bytes)
  }

  /** Lets a transfer run to its end. */
  add(transfer: Transfer, signal: AbortSignal): void {
    this.#running.set(
      transfer,
      transfer.finish(signal).then((summary) => {
        this.#running.delete(transfer)
        this.#ended(summary)
      }),
    )
  }

  /** Resolves when no transfer runs. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  /** The fields of the JSON line; of many transfers, the last ones are listed. */
  report(): object {
    return {
      connections: this.#connections,
      failed: this.#failed,
      bytes: this.#bytes,
      transfers: this.#summaries,
    }
  }

  /** What was wrong with the last transfer with which anything was. */
  get error(): Described | undefined {
    return this.#summaries.findLast(({ error }) => error !== undefined)?.error
  }

  #ended(summary: TransferSummary): void {
    this.#connections++
    this.#bytes += summary.bytes
    if (summary.error !== undefined) this.#failed++
    this.#summaries.push(summary)
    if (this.#summaries.length > KEPT_SUMMARIES) this.#summaries.shift()
    for (const line of describeTransfer(summary)) this.#output.result(line)
    if (summary.error !== undefined) this.#output.complain(summary.error)
  }
}
