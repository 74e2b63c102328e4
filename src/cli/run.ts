/** Runs a command: handles signals and errors, prints the last JSON line, sets the exit code. */

import { CliError, type Described, describeError, Exit, onInterruption } from './exit.ts'
import { Output, type OutputOptions } from './output.ts'

/** The end of a command. */
export interface CommandOutcome {
  /** The fields of the last JSON line. */
  readonly report: object
  /** The error, which the command has shown already. */
  readonly failure?: Described | undefined
}

/**
 * Runs a command. `work` ends soon after its signal aborts, with the result so far. A failure
 * after the abort is not reported.
 */
export async function run(
  command: string,
  options: OutputOptions,
  work: (output: Output, signal: AbortSignal) => Promise<CommandOutcome>,
): Promise<void> {
  const output = new Output(options)
  const interruption = onInterruption()
  let report: object = {}
  let failure: Described | undefined
  let exitCode: number = Exit.ok
  try {
    const outcome = await work(output, interruption.signal)
    report = outcome.report
    failure = outcome.failure
    if (failure !== undefined) exitCode = Exit.failed
  } catch (error) {
    if (interruption.exitCode === undefined) {
      failure = describeError(error)
      output.complain(failure)
      exitCode = exitCodeOf(error)
    }
  }
  interruption.forget()
  exitCode = interruption.exitCode ?? exitCode
  // Wrong usage is reported as JSON only if --json was given.
  if (exitCode !== Exit.usage || options.json) {
    output.report({ command, event: 'end', exitCode, error: failure, ...report })
  }
  process.exitCode = exitCode
}

function exitCodeOf(error: unknown): number {
  return error instanceof CliError && error.code === 'USAGE' ? Exit.usage : Exit.failed
}
