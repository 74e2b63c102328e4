/** `netmem send`: a file, stdin or a pattern, over TCP to any receiver. */

import { Command } from 'commander'

import { createPool, hostProvider } from '../index.ts'
import { type Connection, connect } from '../net/index.ts'
import { formatEndpoint, parseEndpoint } from './endpoint.ts'
import { CliError, type Described, describeError, EXIT_CODES, SIZES, usage } from './exit.ts'
import { patternOption, sizeOption, withJson } from './options.ts'
import type { Output } from './output.ts'
import { Pattern } from './pattern.ts'
import { type Outcome, run } from './run.ts'
import { fileSource, patternSource, type Source, stdinSource } from './send/source.ts'
import { roughRate, roughSize } from './size.ts'

interface SendOptions {
  readonly bytes?: number
  readonly pattern?: number
  readonly json?: true
}

const HELP = `
It ends when the peer has closed its side, as receivers do that have got everything. When the source
fails or is shorter than it was, the receiver gets a reset, and no end.

Examples:
  $ netmem send 192.0.2.7:5201 disk.img
  $ tar c . | netmem send '[2001:db8::7]:5201'
  $ netmem send localhost:5201 --bytes 10GB --pattern 7

${SIZES}

${EXIT_CODES}`

export function sendCommand(): Command {
  const command = new Command('send')
    .description('send a file, stdin or a pattern over TCP to any receiver')
    .argument('<host:port>', 'where to; IPv6 in brackets: [::1]:5201')
    .argument('[file]', 'what; - or nothing is stdin')
    .addOption(sizeOption('--bytes <size>', 'send as many bytes of a pattern'))
    .addOption(patternOption('the seed of that pattern, 1 by default'))
    .addHelpText('after', HELP)
  return withJson(command).action((where: string, file: string | undefined, options: SendOptions) =>
    run('send', { json: options.json === true }, (output, signal) =>
      send(where, file, options, output, signal),
    ),
  )
}

/** A small pool, for replies that are discarded. */
const POOL = { pages: 2, pageSize: 16 * 1024 }

async function send(
  where: string,
  file: string | undefined,
  options: SendOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const { host, port } = parseEndpoint(where)
  const source = await sourceOf(file, options)
  const pool = createPool(hostProvider(POOL))
  const connection = await connect({ pool, host, port, signal })
  const began = performance.now()
  let bytes = 0
  const stop = output.progress({
    label: 'sent',
    totalBytes: source.totalBytes,
    bytes: () => bytes,
  })
  let error: unknown
  try {
    // Replies are discarded. Left unread, they could block the peer.
    const peerDone = discard(connection)
    peerDone.catch(() => source.stop())
    for await (const view of source.views) {
      await connection.write(view)
      bytes += view.byteLength
    }
    checkComplete(source, bytes)
    await connection.end()
    await peerDone
    await connection.close()
  } catch (cause) {
    // A connection that broke also stops the source: report the connection's error.
    const { state } = connection
    error = state.kind === 'failed' ? state.error : cause
    // With an error this sends a reset, so that the receiver does not take it for the end.
    connection.destroy(error instanceof Error ? error : new Error(String(error)))
  }
  stop()
  source.stop()
  await pool.destroy()

  const seconds = (performance.now() - began) / 1_000
  const failure = error === undefined || signal.aborted ? undefined : describeFailure(error)
  const ended = error === undefined ? 'finished' : signal.aborted ? 'interrupted' : 'failed'
  const peer = formatEndpoint(connection.remoteAddress)
  output.result(
    `${peer}  ${bytes} bytes (${roughSize(bytes)})  ${seconds.toFixed(3)} s  ${roughRate(bytes, seconds)}  ${ended}`,
  )
  if (failure !== undefined) output.complain(failure)
  return { report: { peer, bytes, seconds, bytesPerSecond: bytes / seconds, ended }, failure }
}

async function sourceOf(file: string | undefined, options: SendOptions): Promise<Source> {
  const { bytes, pattern } = options
  if (bytes !== undefined || pattern !== undefined) {
    if (file !== undefined) throw usage('Either a file, or --bytes and --pattern.')
    if (bytes === undefined) throw usage('--pattern has no end: say how much with --bytes.')
    return patternSource(new Pattern(pattern ?? 1), bytes)
  }
  return file === undefined || file === '-' ? stdinSource() : fileSource(file)
}

/** Throws WRONG_LENGTH if the source had fewer bytes than announced, as a file that shrinks. */
function checkComplete({ totalBytes }: Source, bytes: number): void {
  if (totalBytes === undefined || bytes >= totalBytes) return
  throw new CliError(
    'WRONG_LENGTH',
    `The source ended after ${bytes} of ${totalBytes} bytes: it became shorter. Send it again when no program writes to it.`,
  )
}

/** Describes an error for a sender. The library's remedy for a reset is meant for receivers. */
function describeFailure(error: unknown): Described {
  const { code, message } = describeError(error)
  return code === 'NETMEM_CONNECTION_RESET'
    ? {
        code,
        message:
          'The receiver broke off, and may lack some of what was sent: look there for the reason, and send again.',
      }
    : { code, message }
}

async function discard(connection: Connection): Promise<void> {
  for await (const frag of connection) frag.release()
}
