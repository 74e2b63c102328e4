/** How the command line ends: exit codes, its own errors, and signals. */

import { debuglog } from 'node:util'

import { isNetmemError } from '../errors.ts'
import { inFlags } from './flags.ts'

/** The exit codes, as `netmem --help` lists them. */
export const Exit = { ok: 0, failed: 1, usage: 2, interrupted: 130, terminated: 143 } as const

export const EXIT_CODES = `Exit codes:
  0    everything was done, and whatever was verified is right
  1    failed: a transfer broke, data is wrong, something cannot be opened
  2    wrong usage
  130  ended by SIGINT (ctrl-C), after a summary; a second one ends it at once
  143  ended by SIGTERM, likewise`

/** Explains sizes in the help of commands that take one. */
export const SIZES =
  'Sizes are in bytes, or have a unit: 64KiB, 1.5MiB (1024-based), 2GB (1000-based).'

/** What the command line itself finds wrong; the library's errors have codes of their own. */
export type CliErrorCode =
  /** The command line cannot be understood, or contradicts itself. */
  | 'USAGE'
  /** Data is not what it should be. */
  | 'WRONG_DATA'
  /** A peer or a source had less or more than was announced. */
  | 'WRONG_LENGTH'
  /** A process that this one started did not do its work. */
  | 'CHILD_FAILED'
  /** An iperf3 test did not come to its proper end. */
  | 'TEST_FAILED'

export class CliError extends Error {
  readonly code: CliErrorCode

  constructor(code: CliErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export function usage(message: string): CliError {
  return new CliError('USAGE', message)
}

/** An error in the two parts that are shown of it. */
export interface Described {
  readonly code: string
  readonly message: string
}

/** With NODE_DEBUG=netmem an error is shown with its stack, too. */
const debug = debuglog('netmem')

/** The code and the message of an error, on one line. */
export function describeError(error: unknown): Described {
  debug('%o', error)
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: oneLine(String(error)) }
  if (error instanceof CliError) return { code: error.code, message: oneLine(error.message) }
  if (isNetmemError(error)) return { code: error.code, message: oneLine(inFlags(error.message)) }
  const code: unknown = Reflect.get(error, 'code')
  // Node's messages begin with the code: 'ENOENT: no such file or directory, open …'.
  return typeof code === 'string'
    ? { code, message: oneLine(error.message).replace(`${code}: `, '') }
    : { code: 'UNKNOWN', message: oneLine(`${error.name}: ${error.message}`) }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').trim()
}

/** The signals that end a command cleanly. */
export interface Interruption {
  readonly signal: AbortSignal
  /** The exit code of the signal that came, if one did. */
  readonly exitCode: number | undefined
  /** Listens no more. */
  forget(): void
}

/** Waits for SIGINT and SIGTERM. Only the first one is caught: the next ends the process. */
export function onInterruption(): Interruption {
  const abort = new AbortController()
  let exitCode: number | undefined
  const interrupt = (code: number) => (): void => {
    exitCode = code
    forget()
    abort.abort()
  }
  const interrupted = interrupt(Exit.interrupted)
  const terminated = interrupt(Exit.terminated)
  const forget = (): void => {
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', terminated)
  }
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', terminated)
  return {
    signal: abort.signal,
    get exitCode() {
      return exitCode
    },
    forget,
  }
}
