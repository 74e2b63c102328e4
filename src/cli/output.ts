/**
 * The output of a command: results to stdout, notes and progress to stderr. With `--json` stdout
 * gets lines of JSON and nothing else, and no progress is shown. All text is escaped for a
 * terminal.
 */

import { type Described, describeError, Exit } from './exit.ts'
import { printable, printableJson } from './printable.ts'
import { type Progress, type ProgressTask, showProgress } from './progress.ts'

export interface OutputOptions {
  readonly json: boolean
  /** stdout carries data: results and JSON go to stderr. */
  readonly dataOnStdout?: boolean
  /** Results are JSON also if stdout is no terminal. */
  readonly jsonUnlessTerminal?: boolean
  /** Suppresses results and progress, except JSON of --json. */
  readonly quiet?: boolean
}

export class Output {
  /** True if results are lines of JSON. */
  readonly json: boolean
  readonly #showsResults: boolean
  readonly #showsProgress: boolean
  readonly #results: NodeJS.WriteStream
  #progress: Progress | undefined

  constructor(options: OutputOptions) {
    const { json, dataOnStdout = false, jsonUnlessTerminal = false, quiet = false } = options
    this.#results = dataOnStdout ? process.stderr : process.stdout
    this.json = json || (jsonUnlessTerminal && !quiet && this.#results.isTTY !== true)
    this.#showsResults = !this.json && !quiet
    this.#showsProgress = !json && !quiet
  }

  /** Writes a line of the result, for people. */
  result(line: string): void {
    if (!this.#showsResults) return
    this.#progress?.clear()
    this.#results.write(`${printable(line)}\n`)
  }

  /** Clears a terminal, for results that come again and again. */
  clear(): void {
    if (this.#showsResults && this.#results.isTTY === true) this.#results.write('\x1b[H\x1b[2J')
  }

  /** Writes a line for machines. */
  report(value: object): void {
    if (this.json) this.#results.write(`${printableJson(value)}\n`)
  }

  /** Writes a line for people that is no result. */
  note(line: string): void {
    this.#progress?.clear()
    process.stderr.write(`${printable(line)}\n`)
  }

  /** Writes `netmem: CODE: message`. */
  complain({ code, message }: Described): void {
    this.note(`netmem: ${code}: ${message}`)
  }

  /** True if progress is shown. */
  get live(): boolean {
    return this.#showsProgress && process.stderr.isTTY === true
  }

  /** Shows progress on a terminal until the returned function is called. */
  progress(task: ProgressTask): () => void {
    if (!this.live) return () => undefined
    this.#progress?.stop()
    this.#progress = showProgress(process.stderr, task)
    return this.#progress.stop
  }
}

/**
 * Handles errors of stdout. A reader that closes the pipe early (`netmem … | head -1`) is no error.
 * Any other failure, such as a full disk, ends the process with a line on stderr.
 */
export function superviseOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    const { code, message } = describeError(error)
    process.stderr.write(`netmem: ${code}: stdout: ${printable(message)}\n`)
    process.exit(Exit.failed)
  })
  // Errors of stderr cannot be reported.
  process.stderr.on('error', () => undefined)
}
