/**
 * Where text goes: results to stdout, notes and progress to stderr; with `--json` stdout gets one
 * line at the end and nothing else, and nobody sees progress.
 */

import type { Described } from './exit.ts'
import { Progress, type ProgressTask } from './progress.ts'

export interface OutputOptions {
  readonly json: boolean
  /** stdout carries data: results and the JSON line go to stderr. */
  readonly dataOnStdout?: boolean
  /** The result is a JSON line also where no terminal would show it. */
  readonly jsonUnlessTerminal?: boolean
}

export class Output {
  /** Whether the result is a line for machines. */
  readonly json: boolean
  readonly #quiet: boolean
  readonly #results: NodeJS.WriteStream
  #progress: Progress | undefined

  constructor({ json, dataOnStdout = false, jsonUnlessTerminal = false }: OutputOptions) {
    this.#results = dataOnStdout ? process.stderr : process.stdout
    this.json = json || (jsonUnlessTerminal && this.#results.isTTY !== true)
    this.#quiet = json
  }

  /** A line of the result, for people. */
  result(line: string): void {
    if (this.json) return
    this.#progress?.clear()
    this.#results.write(`${line}\n`)
  }

  /** The one line for machines. */
  report(value: object): void {
    if (this.json) this.#results.write(`${JSON.stringify(value)}\n`)
  }

  /** What one should know meanwhile. */
  note(line: string): void {
    this.#progress?.clear()
    process.stderr.write(`${line}\n`)
  }

  /** `netmem: CODE: message`. */
  complain({ code, message }: Described): void {
    this.note(`netmem: ${code}: ${message}`)
  }

  /** Whether there is somebody to see progress. */
  get live(): boolean {
    return !this.#quiet && process.stderr.isTTY === true
  }

  /** Shows progress until the returned function is called; nothing where nobody sees it. */
  progress(task: ProgressTask): () => void {
    if (!this.live) return () => undefined
    this.#progress?.stop()
    const progress = new Progress(process.stderr, task)
    this.#progress = progress
    return () => progress.stop()
  }
}

/** A reader that has seen enough (`netmem … | head -1`) is no error. */
export function tolerateClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}
