/** One download of `netmem get`: its progress, and its summary. */

import { type GetDestination, getInto } from '../../http/get-into.ts'
import type { GetEvent } from '../../http/transfer/events.ts'
import type { GetOptions } from '../../http/transfer/options.ts'
import type { GetResult } from '../../http/transfer/result.ts'
import type { Page, PagePool } from '../../index.ts'
import { unlessAborted } from '../../net/interruption.ts'
import { type Described, describeError } from '../exit.ts'
import { makeFolderOf } from '../folder.ts'
import type { Output } from '../output.ts'
import { Sink } from '../recv/sink.ts'
import { roughRate, roughSize } from '../size.ts'
import { Deadline } from './deadline.ts'
import type { GetFlags } from './get-options.ts'
import { logEvent, logTiming } from './log.ts'

/** Settings and output that the downloads of one command share. */
export interface DownloadContext {
  readonly flags: GetFlags
  readonly getOptions: GetOptions
  readonly pool: PagePool<Page>
  readonly output: Output
  readonly signal: AbortSignal
}

/** The end of a download. */
export interface Downloaded {
  readonly bytes: number
  /** The error, which has been shown. */
  readonly failure: Described | undefined
  /** True if stdout takes no more bytes. */
  readonly stdoutClosed: boolean
}

/**
 * Gets one URL. Never rejects: the result has the error.
 *
 * @param path file to write, or undefined for stdout.
 */
export async function download(
  url: URL,
  path: string | undefined,
  { flags, getOptions, pool, output, signal }: DownloadContext,
): Promise<Downloaded> {
  const deadline = new Deadline(signal, flags.maxTime)
  const began = performance.now()
  const name = path ?? 'stdout'
  let stdoutClosed = false
  let attempt = 1
  let bytes = 0
  let from = 0
  let total: number | undefined
  const task = {
    label: name,
    get totalBytes() {
      return total
    },
    get remark() {
      return attempt > 1 ? `attempt ${attempt}` : undefined
    },
    bytes: () => bytes,
  }
  let stop = output.progress(task)
  let result: GetResult | undefined
  let error: unknown
  try {
    const destination =
      path === undefined
        ? await stdout(pool, deadline.signal, () => {
            stdoutClosed = true
          })
        : await file(path, pool, flags)
    result = await getInto(url, destination, {
      ...getOptions,
      signal: deadline.signal,
      onHead: (_, length, at) => {
        total = length
        from = at
        bytes = at
        // The rate counts only bytes of this call.
        stop = output.progress(task)
      },
      onProgress: (now) => {
        bytes = now
        deadline.heard()
      },
      onEvent: (event) => {
        if (event.kind === 'retry') {
          deadline.onRetry(event)
          if (deadline.signal.aborted) return
          attempt = event.attempt
          // The verbose log has the error already.
          if (flags.quiet !== true && flags.verbose !== true) {
            output.note(`netmem: ${name}: ${describeRetry(event, flags.retries)}`)
          }
        }
        if (flags.verbose === true) logEvent(output, event)
      },
    })
    bytes = result.bytes
    if (flags.verbose === true) logTiming(output, result.timing)
  } catch (cause) {
    error = deadline.reason ?? cause
  }
  deadline.end()
  stop()
  const seconds = (performance.now() - began) / 1_000
  const shown = `${url.origin}${url.pathname}`
  const failure = error === undefined || signal.aborted ? undefined : describeError(error)
  const status: unknown = error instanceof Error ? Reflect.get(error, 'status') : undefined
  output.report({
    command: 'get',
    event: 'download',
    url: shown,
    path,
    status: result?.head.status ?? (typeof status === 'number' ? status : undefined),
    bytes,
    // Bytes that an earlier call had left.
    resumedFrom: from,
    seconds,
    bytesPerSecond: (bytes - from) / seconds,
    retries: attempt - 1,
    connections: result?.connections,
    // False where a cut would look like the end.
    endKnown: result?.endKnown,
    ended: result !== undefined ? 'finished' : failure === undefined ? 'interrupted' : 'failed',
    sha256: result?.sha256,
    timing: result?.timing,
    error: failure,
  })
  if (failure !== undefined) {
    // An error names its download where there are several.
    const { code, message } = failure
    const named = stdoutClosed || message.includes(shown)
    output.complain(named ? failure : { code, message: `${shown}: ${message}` })
    return { bytes, failure, stdoutClosed }
  }
  if (result?.endKnown === false && result.sha256 === undefined && flags.quiet !== true) {
    const why = 'The server said no length, so a cut would look like the end; check with --sha256.'
    output.note(`netmem: ${name}: ${why}`)
  }
  const parts = [name, `${bytes} bytes (${roughSize(bytes)})`, `${seconds.toFixed(3)} s`]
  parts.push(roughRate(bytes - from, seconds), result === undefined ? 'interrupted' : 'complete')
  if (result?.sha256 !== undefined) parts.push('verified')
  output.result(parts.join('  '))
  return { bytes, failure, stdoutClosed }
}

async function file(
  path: string,
  pool: PagePool<Page>,
  { resume }: GetFlags,
): Promise<GetDestination> {
  await makeFolderOf(path)
  return { path, resume: resume === true, pool }
}

async function stdout(
  pool: PagePool<Page>,
  signal: AbortSignal,
  onClosed: () => void,
): Promise<GetDestination> {
  const sink = await Sink.open('-')
  return {
    pool,
    onFrag: async (frag) => {
      try {
        // A write into a pipe without a reader may never end.
        await unlessAborted(sink.write(frag.bytes), signal)
      } catch (error) {
        onClosed()
        throw error
      } finally {
        frag.release()
      }
    },
  }
}

function describeRetry(
  { error, attempt, delayMs }: GetEvent & { kind: 'retry' },
  retries: number,
): string {
  const { code, message } = describeError(error)
  const when = `in ${(delayMs / 1_000).toFixed(1)} s`
  return `attempt ${attempt} of ${retries + 1} ${when}, after ${code}: ${message}`
}
