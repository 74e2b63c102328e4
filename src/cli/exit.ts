/** Exit codes, and errors of the command line. */

import { debuglog } from 'node:util'

import { isNetmemError } from '../errors.ts'
import { inFlags } from './flags.ts'

/** The exit codes that are no signal's. */
export const Exit = { ok: 0, failed: 1, usage: 2 } as const

export const EXIT_CODES = `Exit codes:
  0    everything was done, and all that was verified is right
  1    failed: a transfer broke, data is wrong, something cannot be opened
  2    wrong usage
  130  ended by SIGINT (ctrl-C), after a summary; a second one ends it at once
  143  ended by SIGTERM, likewise`

/** Explains sizes in the help of commands that take one. */
export const SIZES =
  'Sizes are in bytes, or have a unit: 64KiB, 1.5MiB (1024-based), 2GB (1000-based).'

/** Codes of the command line's errors. The library has other codes. */
export type CliErrorCode =
  /** Arguments are invalid or contradict each other. */
  | 'USAGE'
  /** Received data is wrong. */
  | 'WRONG_DATA'
  /** A peer or a source had less or more than was announced. */
  | 'WRONG_LENGTH'
  /** A child process failed. */
  | 'CHILD_FAILED'
  /** An iperf3 test did not complete. */
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

/** Code and message of an error, as they are shown. */
export interface Described {
  readonly code: string
  readonly message: string
}

/** Shows errors with their stacks under NODE_DEBUG=netmem. */
const debug = debuglog('netmem')

/** Returns the code of an error, and its message on one line. */
export function describeError(error: unknown): Described {
  debug('%o', error)
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: oneLine(String(error)) }
  if (error instanceof CliError) return { code: error.code, message: oneLine(error.message) }
  if (isNetmemError(error)) return { code: error.code, message: oneLine(inFlags(error.message)) }
  const { code, syscall, path }: NodeJS.ErrnoException = error
  if (code === undefined) {
    return { code: 'UNKNOWN', message: oneLine(`${error.name}: ${error.message}`) }
  }
  // Node.js writes `ENOENT: no such file or directory, open '/a/b'`.
  const [cause = ''] = error.message.replace(`${code}: `, '').split(`, ${syscall}`)
  return { code, message: oneLine(path === undefined ? cause : `${path}: ${cause}`) }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').trim()
}
