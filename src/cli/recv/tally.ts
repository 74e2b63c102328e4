/** Sums over all connections of one `netmem recv`, each reported as it ends. */

import type { Described } from '../exit.ts'
import type { Output } from '../output.ts'
import { describeReception, type Reception, type ReceptionSummary } from './reception.ts'

export class Tally {
  readonly #command: string
  readonly #output: Output
  readonly #running = new Map<Reception, Promise<void>>()
  #error: Described | undefined
  #connections = 0
  #failed = 0
  #bytes = 0

  /** @param command - name in lines of JSON. */
  constructor(command: string, output: Output) {
    this.#command = command
    this.#output = output
  }

  /** Bytes received so far, over running connections too. */
  get bytes(): number {
    return [...this.#running.keys()].reduce((sum, { bytes }) => sum + bytes, this.#bytes)
  }

  /** Connections that have ended. */
  get connections(): number {
    return this.#connections
  }

  /** Starts a reception and counts it when it ends. */
  add(reception: Reception, signal: AbortSignal): void {
    this.#running.set(
      reception,
      reception.finish(signal).then((summary) => {
        this.#running.delete(reception)
        this.#ended(summary)
      }),
    )
  }

  /** Resolves when all receptions have ended. */
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

  /** The error of the last reception that failed. */
  get error(): Described | undefined {
    return this.#error
  }

  #ended(summary: ReceptionSummary): void {
    this.#connections++
    this.#bytes += summary.bytes
    this.#output.report({ command: this.#command, event: 'transfer', ...summary })
    for (const line of describeReception(summary)) this.#output.result(line)
    if (summary.error === undefined) return
    this.#failed++
    this.#error = summary.error
    this.#output.complain(summary.error)
  }
}
