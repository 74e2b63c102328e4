/** Checks the destinations of `netmem get`, and downloads one URL after the other. */

import { type Described, usage } from '../exit.ts'
import { makePool } from '../make-pool.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { parseUrlArgument } from './arguments.ts'
import { destinationOf } from './destination.ts'
import { download } from './download.ts'
import { type GetFlags, getOptionsOf } from './get-options.ts'

const PAGE_BYTES = 256 * 1024

export async function getAll(
  output: Output,
  signal: AbortSignal,
  texts: readonly string[],
  flags: GetFlags,
): Promise<CommandOutcome> {
  if (flags.sha256 !== undefined && texts.length > 1) {
    throw usage('--sha256 is that of one URL; give one.')
  }
  if (flags.out === '-' && flags.resume === true) {
    throw usage('--resume takes a file; nothing can be gone on with on stdout.')
  }
  const urls = texts.map(parseUrlArgument)
  const paths = await Promise.all(urls.map((url) => destinationOf(url, flags.out, urls.length)))
  const twice = paths.find((path, at) => path !== undefined && paths.indexOf(path) !== at)
  if (twice !== undefined) throw usage(`Two of the URLs would be written to ${twice}.`)
  const getOptions = await getOptionsOf(flags)
  const pool = await makePool({ pool: flags.pool, pageSize: PAGE_BYTES, memory: 'host' })
  let failed = 0
  let bytes = 0
  let failure: Described | undefined
  for (const [at, url] of urls.entries()) {
    const one = await download(url, paths[at], { flags, getOptions, pool, output, signal })
    bytes += one.bytes
    if (one.failure !== undefined) failed++
    failure = one.failure ?? failure
    if (signal.aborted || one.stdoutClosed) break
  }
  if (!signal.aborted) await pool.destroy()
  return { report: { failed, bytes }, failure }
}
