/** `netmem recv`: takes raw bytes over TCP from any sender. */

import { Command } from 'commander'

import { listen } from '../net/index.ts'
import { formatEndpoint } from './endpoint.ts'
import { EXIT_CODES, SIZES, usage } from './exit.ts'
import {
  describePool,
  type ListenOptions,
  makePool,
  patternOption,
  sizeOption,
  withListenOptions,
} from './options.ts'
import type { Output } from './output.ts'
import { Pattern, type PatternName } from './pattern.ts'
import { Reception, type ReceptionOptions } from './recv/reception.ts'
import { checkOut, Sink } from './recv/sink.ts'
import { Tally } from './recv/tally.ts'
import { type Outcome, run } from './run.ts'
import { wakeBatchingIfAny } from './wake-batching.ts'

interface RecvOptions extends ListenOptions {
  readonly out?: string
  readonly pattern?: PatternName
  readonly bytes?: number
  readonly sha256?: true
}

const HELP = `
Each connection gets a summary: bytes, seconds, rate, how it ended, the pool's counters. One that
breaks, or brings other bytes than --pattern and --bytes say, counts as failed. A file is written
under another name, and takes its place when the connection has ended well and every check is right.

Examples:
  $ netmem recv --once --out copy.iso --sha256       then, here too: nc -N 127.0.0.1 5201 < file.iso
  $ netmem recv --once --pattern 7 --bytes 10GB      netmem send 127.0.0.1:5201 --pattern 7 --bytes 10GB
  $ netmem recv --once --host 0.0.0.0 --out - | tar x    elsewhere: tar c . | socat -u - TCP:HOST:5201

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

export function recvCommand(): Command {
  const command = new Command('recv')
    .description('take raw bytes over TCP from any sender; write, verify or count them')
    .option(
      '--out <file>',
      'write them there, and make its folders; - is stdout, with the summary on stderr (default: nowhere)',
    )
    .addOption(patternOption('verify them against the pattern of this seed'))
    .addOption(
      sizeOption(
        '--bytes <size>',
        'fail unless there are exactly as many bytes (default: not counted)',
      ),
    )
    .option('--sha256', 'print their SHA-256')
    .addHelpText('after', HELP)
  return withListenOptions(command, 'connection').action((options: RecvOptions) =>
    run(
      'recv',
      { json: options.json === true, dataOnStdout: options.out === '-' },
      (output, signal) => recv(options, output, signal),
    ),
  )
}

async function recv(options: RecvOptions, output: Output, signal: AbortSignal): Promise<Outcome> {
  if (options.out !== undefined && options.once !== true) {
    throw usage('--out takes one connection, since there is one destination: add --once.')
  }
  if (options.out !== undefined) await checkOut(options.out)
  const pool = await makePool(options)
  await using listener = await listen({
    pool,
    host: options.host,
    port: options.port,
    signal,
    ...(await wakeBatchingIfAny()),
  })
  await using sink = options.out === undefined ? undefined : await Sink.open(options.out)
  const reception: ReceptionOptions = {
    sink,
    pattern: options.pattern === undefined ? undefined : new Pattern(options.pattern),
    sha256: options.sha256 === true,
    bytes: options.bytes,
  }
  output.note(
    `netmem: listening on ${formatEndpoint(listener.address)}, ${describePool(pool, options)}`,
  )

  const tally = new Tally('recv', output)
  const stop = output.progress({
    label: 'received',
    totalBytes: options.bytes,
    bytes: () => tally.bytes,
  })
  for await (const connection of listener) {
    tally.add(new Reception(connection, reception), signal)
    if (options.once === true) break
  }
  await listener.close()
  await tally.settled()
  stop()
  if (tally.connections === 0) output.note('netmem: stopped before any connection came')
  const report = { ...tally.report(), pool: pool.stats() }
  // A write that a signal interrupted may hold its page until the process ends.
  if (!signal.aborted) await pool.destroy()
  return { report, failure: tally.error }
}
