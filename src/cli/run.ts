/** Runs a command: handles signals and errors, prints the last JSON line, sets the exit code. */

import type { Command } from 'commander'
import { CliError, type Described, describeError, Exit } from './exit.ts'
import { Output, type OutputOptions } from './output.ts'

/** The end of a command. */
export interface CommandOutcome {
  /** The fields of the last JSON line. */
  readonly report: object
  /** The error, which the command has shown already. */
  readonly failure?: Described | undefined
}

/**
 * Work of a command. It ends soon after its signal aborts, with the result so far. A failure after the
 * abort is not reported. `args` are the command's arguments, and its options last.
 */
type Work = (output: Output, signal: AbortSignal, ...args: never[]) => Promise<CommandOutcome>

/**
 * Adds --json and an action to a command.
 *
 * @param load loads the work: a command's module is loaded only if it runs.
 * @param outputOptions returns how the output differs from that of other commands.
 */
export function withWork(
  command: Command,
  load: () => Promise<Work>,
  outputOptions: (options: ReturnType<Command['opts']>) => Partial<OutputOptions> = () => ({}),
): Command {
  return command
    .option('--json', 'lines of JSON on stdout, as things end, and nothing else there')
    .action((...args) => {
      const options = command.opts()
      const output = { json: options['json'] === true, ...outputOptions(options) }
      return run(nameOf(command), output, async (...context) =>
        // commander's arguments have no types.
        Reflect.apply(await load(), undefined, [...context, ...args]),
      )
    })
}

/** Returns the name of a command. A subcommand's name includes its command, as in `devmem prepare`. */
export function nameOf(command: Command): string {
  const { parent } = command
  return parent?.parent ? `${parent.name()} ${command.name()}` : command.name()
}

async function run(command: string, options: OutputOptions, work: Work): Promise<void> {
  const output = new Output(options)
  const abort = new AbortController()
  let signalCode: number | undefined
  // The first signal ends the work, and the next one the process.
  const interrupt = (_: NodeJS.Signals, number: number): void => {
    signalCode = 128 + number
    forget()
    abort.abort()
  }
  const forget = (): void => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  let report: object = {}
  let failure: Described | undefined
  let exitCode: number = Exit.ok
  try {
    const outcome = await work(output, abort.signal)
    report = outcome.report
    failure = outcome.failure
    if (failure !== undefined) exitCode = Exit.failed
  } catch (error) {
    if (signalCode === undefined) {
      failure = describeError(error)
      output.complain(failure)
      const isUsage = error instanceof CliError && error.code === 'USAGE'
      exitCode = isUsage ? Exit.usage : Exit.failed
    }
  }
  forget()
  exitCode = signalCode ?? exitCode
  // Wrong usage is reported as JSON only if --json was given.
  if (exitCode !== Exit.usage || options.json) {
    output.report({ command, event: 'end', exitCode, error: failure, ...report })
  }
  process.exitCode = exitCode
}
