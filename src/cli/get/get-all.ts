/** Checks the destinations of `netmem get`, and downloads one URL after the other. */

import { usage } from '../exit.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { parseUrlArgument } from './arguments.ts'
import { destinationOf } from './destination.ts'
import { type DownloadOptions, Downloads } from './downloads.ts'

export interface GetSettings extends DownloadOptions {
  readonly out?: string
  readonly remoteName?: true
  readonly json?: true
}

export async function getAll(
  texts: readonly string[],
  options: GetSettings,
  output: Output,
  signal: AbortSignal,
): Promise<CommandOutcome> {
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
