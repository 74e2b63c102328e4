/** `netmem get`: downloads, into files or to stdout. */

import { Command, Option } from 'commander'
import { EXIT_CODES, SIZES } from './exit.ts'
import { parseHeader, parseRate, parseSeconds, parseSha256, parseUser } from './get/arguments.ts'
import { argument, parseCount, sizeOption } from './options.ts'
import { withWork } from './run.ts'

/** HTTP errors and wrong digests are failures. A file that exists is complete. */
const HELP = `
A file is written under another name and renamed when it is complete. A transfer that breaks goes
on where it broke off. Statuses of 300 and more are failures, once redirects have been followed.
Where no terminal shows it, the summary is JSON, as with --json: a line as each download ends, and
one at the end. A server that says nothing is given up after a minute at the most, by default.

Examples:
  $ netmem get https://example.org/model.safetensors --connections 4 --resume
  $ netmem get https://example.org/archive.tar --out - | tar x
  $ netmem get https://example.org/a https://example.org/b --out downloads/ --json

${SIZES}

${EXIT_CODES}
Proxies are taken from HTTP_PROXY, HTTPS_PROXY and NO_PROXY.`

const MAX_CONNECTIONS = 64
const MAX_RETRIES = 1_000

export function getCommand(): Command {
  const command = new Command('get')
    .description('download over HTTP, with bounded memory')
    .argument('<url...>', 'http: or https:, one after the other')
    .option('-o, --out <path>', 'a file, - for stdout, or a folder (default: as with -O)')
    .addOption(
      new Option('-O, --remote-name', 'a file named as the last part of the URL').conflicts('out'),
    )
    .option('-q, --quiet', 'say nothing but errors')
    .option('-v, --verbose', 'show requests, heads, attempts and times, on stderr')
    .option('--sha256 <hex>', 'fail unless it is that of the one URL', argument(parseSha256))
    .option(
      '--connections <number>',
      `ranges at once, of servers that have them: 1 to ${MAX_CONNECTIONS}`,
      argument(parseCount(1, MAX_CONNECTIONS)),
      1,
    )
    .option('--resume', 'keep what arrived of a transfer that fails, and continue from there')
    .addOption(
      new Option('--on-change <what>', 'when the body changes between two attempts')
        .choices(['fail', 'restart'])
        .default('fail'),
    )
    .addOption(sizeOption('--pool <size>', 'memory that files pass through', 16 * 2 ** 20))
    .option(
      '--limit <size>',
      'bytes a second at the most: 1KiB or more (default: none)',
      argument(parseRate),
    )
    .option('-H, --header <field>', 'send Name: value, too; may be repeated', collectHeaders)
    .option(
      '--cross-origin-header <name>',
      'send this -H to other origins, too, after a redirect; may be repeated (default: none)',
      (name: string, before: readonly string[] = []) => [...before, name],
    )
    .option('--allow-downgrade', 'follow redirects from https: to http:')
    .option(
      '-u, --user <name:password>',
      'log in; as part of a URL it works, too',
      argument(parseUser),
    )
    .option(
      '--retries <number>',
      `attempts after the first: 0 to ${MAX_RETRIES}`,
      argument(parseCount(0, MAX_RETRIES)),
      4,
    )
    .addOption(
      secondsOption(
        '--connect-timeout <seconds>',
        'for connecting, TLS included: 0.001 to 86400',
        10,
      ),
    )
    .addOption(
      secondsOption(
        '--stall-timeout <seconds>',
        'without an answer, or without a byte of the body',
        25,
      ),
    )
    .addOption(
      secondsOption('--max-time <seconds>', 'for each URL, all attempts together (default: none)'),
    )
    .option('--cacert <file>', 'trust the certificates of this PEM file, and no others')
    .option('-k, --insecure', 'trust every certificate, and so any server that answers')
    .option('--no-proxy', 'connect to the server itself, and ignore the environment')
    .option('--decompress', 'take and decode gzip, deflate and brotli')
    .addOption(
      new Option('--raw', 'take the bytes as they came, without decoding them').conflicts(
        'decompress',
      ),
    )
    .addHelpText('after', HELP)
  return withWork(
    command,
    async () => (await import('./get/get-all.ts')).getAll,
    ({ out, quiet }) => ({
      dataOnStdout: out === '-',
      jsonUnlessTerminal: true,
      quiet: quiet === true,
    }),
  )
}

function collectHeaders(
  text: string,
  before: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  return [...before, argument(parseHeader)(text)]
}

/** An option with a time limit, in milliseconds for the library. */
function secondsOption(flags: string, description: string, seconds?: number): Option {
  const option = new Option(flags, description).argParser(argument(parseSeconds))
  return seconds === undefined ? option : option.default(seconds * 1_000, `${seconds}`)
}
