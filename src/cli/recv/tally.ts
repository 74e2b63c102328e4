/** Sums over all connections of one `netmem recv`, each reported as it ends. */

import type { Listener } from '../../net/index.ts'
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

  /**
   * Receives from the connections of `listener`, from the first one only if `once`. Closes the listener,
   * and resolves when all receptions have ended.
   *
   * @param start makes the reception of a connection.
   */
  async receiveAll<C>(
    listener: AsyncIterable<C> & Pick<Listener, 'close'>,
    start: (connection: C) => Reception,
    { once, bytes }: { readonly once?: true; readonly bytes?: number },
    signal: AbortSignal,
  ): Promise<void> {
    const progress = { label: 'received', totalBytes: bytes, bytes: () => this.bytes }
    const stop = this.#output.progress(progress)
    for await (const connection of listener) {
      this.#add(start(connection), signal)
      if (once === true) break
    }
    await listener.close()
    await Promise.all(this.#running.values())
    stop()
    if (this.#connections === 0) {
      this.#output.note('netmem: stopped before any connection came')
    }
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

  #add(reception: Reception, signal: AbortSignal): void {
    this.#running.set(
      reception,
      reception.finish(signal).then((summary) => {
        this.#running.delete(reception)
        this.#ended(summary)
      }),
    )
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
