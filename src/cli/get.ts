/** `netmem get`: downloads, into files or to stdout. */

import { Command } from 'commander'
import { EXIT_CODES, usage } from './exit.ts'
import { parseHeader, parseRate, parseSha256, parseUrlArgument } from './get/arguments.ts'
import { destinationOf } from './get/destination.ts'
import { Downloads } from './get/downloads.ts'
import { argument, parseCount, sizeOption, withJson } from './options.ts'
import type { Output } from './output.ts'
import { type Outcome, run } from './run.ts'

interface GetOptions {
  readonly out?: string
  readonly sha256?: string
  readonly connections: number
  readonly resume?: true
  readonly pool: number
  readonly limit?: number
  readonly header: readonly (readonly [string, string])[]
  readonly retries: number
  readonly cacert?: string
  readonly decompress?: true
  readonly json?: true
}

/** An HTTP error, or a digest that is another one, is a failure; what is a file is complete. */
const HELP = `
A file is written under another name and renamed when it is complete. A transfer that breaks goes
on where it broke off. Statuses of 300 and more are failures, once redirects have been followed.
Where no terminal shows it, the summary is a line of JSON, as with --json.

Examples:
  $ netmem get https://example.org/model.safetensors --connections 4 --resume
  $ netmem get https://example.org/archive.tar --out - | tar x
  $ netmem get https://example.org/a https://example.org/b --out downloads/ --json

${EXIT_CODES}
Proxies are taken from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; they need undici, as --decompress does.`

const MAX_CONNECTIONS = 64

export function getCommand(): Command {
  const command = new Command('get')
    .description('download over HTTP, with bounded memory')
    .argument('<url...>', 'http: or https:, one after the other')
    .option(
      '--out <path>',
      'a file, - for stdout, or a folder; the last part of the URL by default',
    )
    .option('--sha256 <hex>', 'fail unless it is that of the one URL', argument(parseSha256))
    .option(
      '--connections <number>',
      'ranges at once, of servers that have them',
      argument(parseCount(MAX_CONNECTIONS)),
      1,
    )
    .option('--resume', 'keep what arrived of a transfer that fails, and go on from there')
    .addOption(sizeOption('--pool <size>', 'memory that files pass through', 16 * 2 ** 20))
    .option('--limit <rate>', 'at the most so much a second: 1KiB or more', argument(parseRate))
    .option('--header <field>', 'send Name: value, too; may be repeated', collectHeaders, [])
    .option('--retries <number>', 'attempts after the first', argument(parseRetries), 4)
    .option('--cacert <file>', 'trust the certificates of this PEM file, and no others')
    .option('--decompress', 'take and decode gzip, deflate and brotli; needs undici')
    .addHelpText('after', HELP)
  return withJson(command).action((urls: string[], options: GetOptions) =>
    run(
      'get',
      {
        json: options.json === true,
        dataOnStdout: options.out === '-',
        jsonUnlessTerminal: true,
      },
      (output, signal) => get(urls, options, output, signal),
    ),
  )
}

async function get(
  texts: readonly string[],
  options: GetOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  if (options.sha256 !== undefined && texts.length > 1) {
    throw usage('--sha256 is that of one URL; give one.')
  }
  if (options.out === '-' && options.resume === true) {
    throw usage('--resume takes a file; nothing can be gone on with on stdout.')
  }
  const urls = texts.map(parseUrlArgument)
  const destinations = await Promise.all(
    urls.map((url) => destinationOf(url, options.out, urls.length)),
  )
  const paths = destinations.flatMap((destination) =>
    destination.kind === 'file' ? [destination.path] : [],
  )
  const twice = paths.find((path, at) => paths.indexOf(path) !== at)
  if (twice !== undefined) throw usage(`Two of the URLs would be written to ${twice}.`)
  const downloads = await Downloads.open(options, output, signal)
  for (const [at, url] of urls.entries()) {
    const destination = destinations[at]
    if (destination === undefined || downloads.over) break
    await downloads.get(url, destination)
  }
  return downloads.close()
}

function collectHeaders(
  text: string,
  before: readonly (readonly [string, string])[],
): (readonly [string, string])[] {
  return [...before, argument(parseHeader)(text)]
}

function parseRetries(text: string): number {
  return text === '0' ? 0 : parseCount(1000)(text)
}
