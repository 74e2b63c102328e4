/** `netmem send`: a file, stdin or a pattern, over TCP to any receiver. */

import { Command } from 'commander'

import { createPool, hostProvider } from '../index.ts'
import { connect } from '../net/index.ts'
import { parseEndpoint } from './endpoint.ts'
import { EXIT_CODES, SIZES } from './exit.ts'
import { patternOption, sizeOption, withJson } from './options.ts'
import type { Output } from './output.ts'
import type { PatternName } from './pattern.ts'
import { type Outcome, run } from './run.ts'
import { sendSource } from './send/send-source.ts'
import { sourceOf } from './send/source.ts'

interface SendOptions {
  readonly bytes?: number
  readonly pattern?: PatternName
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
  let bytes = 0
  const send = async (): Promise<void> => {
    for await (const view of source.views) {
      await connection.write(view)
      bytes += view.byteLength
    }
  }
  const sent = await sendSource({ connection, source, send, bytes: () => bytes }, output, signal)
  await pool.destroy()
  return sent
}
