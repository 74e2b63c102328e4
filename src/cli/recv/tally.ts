/** All transfers of one `netmem recv`: reported as they end, and added up. */

import type { Described } from '../exit.ts'
import type { Output } from '../output.ts'
import { describeTransfer, type Transfer, type TransferSummary } from './transfer.ts'

export class Tally {
  readonly #output: Output
  readonly #running = new Map<Transfer, Promise<void>>()
  #error: Described | undefined
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

  /** The fields of the last JSON line. */
  report(): object {
    return {
      connections: this.#connections,
      failed: this.#failed,
      bytes: this.#bytes,
    }
  }

  /** What was wrong with the last transfer with which anything was. */
  get error(): Described | undefined {
    return this.#error
  }

  #ended(summary: TransferSummary): void {
    this.#connections++
    this.#bytes += summary.bytes
    this.#output.report({ command: 'recv', event: 'transfer', ...summary })
    for (const line of describeTransfer(summary)) this.#output.result(line)
    if (summary.error === undefined) return
    this.#failed++
    this.#error = summary.error
    this.#output.complain(summary.error)
  }
}
