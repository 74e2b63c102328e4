/** Options of several commands. */

import { type Command, InvalidArgumentError, Option } from 'commander'

import { parsePort } from './endpoint.ts'
import { MAX_SEED, type PatternName } from './pattern.ts'
import { exactSize, parseSize } from './size.ts'

/** Default port of iperf3. */
export const DEFAULT_PORT = 5201

export interface PoolOptions {
  readonly pool: number
  readonly pageSize: number
  readonly memory: 'host' | 'shared' | 'udmabuf'
}

export interface ListenFlags extends PoolOptions {
  readonly host: string
  readonly port: number
  readonly once?: true
}

/**
 * Adds --host, --port, --pool, --page-size, --memory and --once (which serves one `unit`).
 *
 * @param more kinds of memory besides those of pools.
 */
export function withListenOptions(
  command: Command,
  unit: string,
  more: readonly string[] = [],
): Command {
  command
    .option('--host <address>', 'address of this machine; 0.0.0.0 or :: for all', '127.0.0.1')
    .option(
      '--port <number>',
      '0 takes a free one, up to 65535',
      argument((text) => parsePort(text, 0)),
      DEFAULT_PORT,
    )
  return withPoolOptions(command, more).option('--once', `end after the first ${unit}`)
}

/** Adds --pool, --page-size and --memory. */
export function withPoolOptions(command: Command, more: readonly string[] = []): Command {
  return command
    .addOption(sizeOption('--pool <size>', 'memory to receive into', 16 * 2 ** 20))
    .addOption(sizeOption('--page-size <size>', 'a power of two from 4KiB', 256 * 2 ** 10))
    .addOption(
      new Option(
        '--memory <kind>',
        'memory of this thread, memory that threads can share, or a dma-buf',
      )
        .choices(['host', 'shared', 'udmabuf', ...more])
        .default('host'),
    )
}

/** Makes an option for a size. The help shows its default as `16MiB`, not as a number. */
export function sizeOption(flags: string, description: string, bytes?: number): Option {
  const option = new Option(flags, description).argParser(argument(parsePositiveSize))
  return bytes === undefined ? option : option.default(bytes, exactSize(bytes))
}

/** Makes an option --pattern that takes a seed or `ncdevmem`. */
export function patternOption(description: string): Option {
  const names = `0 to ${MAX_SEED}, or ncdevmem for what the kernel's tool checks`
  return new Option('--pattern <seed>', `${description}: ${names}`).argParser(
    argument((text): PatternName => (text === 'ncdevmem' ? text : parseSeed(text))),
  )
}

/** Makes an option --pattern that takes a seed alone. */
export function seedOption(description: string): Option {
  return new Option('--pattern <seed>', `${description}: 0 to ${MAX_SEED}`).argParser(
    argument(parseSeed),
  )
}

/** Makes a parser whose errors commander reports with the option's name. */
export function argument<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
    }
  }
}

function parsePositiveSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes === 0) throw new RangeError('it must be at least one byte')
  return bytes
}

/** A whole number from 0 to 2^32 − 1. */
function parseSeed(text: string): number {
  const seed = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(seed <= MAX_SEED)) throw new RangeError(`a seed is a whole number of 0 to ${MAX_SEED}`)
  return seed
}

/** A whole number from `min` to `max`. */
export function parseCount(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = /^\d+$/.test(text) ? Number(text) : -1
    if (count < min || count > max) throw new RangeError(`it is a whole number, ${min} to ${max}`)
    return count
  }
}
