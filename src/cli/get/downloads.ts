/** The downloads of one `netmem get`, one after the other: their pool, their progress, their summary. */

import type { Authorization } from '../../http/client/request.ts'
import { type GetDestination, getInto } from '../../http/get-into.ts'
import type { GetEvent } from '../../http/transfer/events.ts'
import type { GetOptions } from '../../http/transfer/options.ts'
import type { GetResult } from '../../http/transfer/result.ts'
import type { Page, PagePool } from '../../index.ts'
import { unlessAborted } from '../../net/interruption.ts'
import { type Described, describeError } from '../exit.ts'
import { makeFolderOf } from '../folder.ts'
import { makePool } from '../make-pool.ts'
import type { Output } from '../output.ts'
import { Sink } from '../recv/sink.ts'
import type { CommandOutcome } from '../run.ts'
import { roughRate, roughSize } from '../size.ts'
import { wakeBatchingIfAny } from '../wake-batching.ts'
import { headersOf, readCertificates } from './arguments.ts'
import { Deadline } from './deadline.ts'
import type { OutputPlace } from './destination.ts'
import { logEvent, logTiming } from './log.ts'

/** Options of all downloads. */
export interface DownloadOptions {
  readonly sha256?: string
  readonly connections: number
  readonly resume?: true
  readonly pool: number
  readonly limit?: number
  readonly header?: readonly (readonly [string, string])[]
  readonly crossOriginHeader?: readonly string[]
  readonly allowDowngrade?: true
  readonly user?: Authorization
  readonly retries: number
  readonly onChange: 'restart' | 'fail'
  /** Milliseconds. */
  readonly connectTimeout: number
  /** Milliseconds. */
  readonly stallTimeout: number
  /** Milliseconds. */
  readonly maxTime?: number
  readonly cacert?: string
  readonly insecure?: true
  readonly proxy: boolean
  readonly decompress?: true
  readonly raw?: true
  readonly verbose?: true
  readonly quiet?: true
}

/** The result of one download. */
interface Summary {
  readonly url: string
  readonly path: string | undefined
  readonly status: number | undefined
  readonly bytes: number
  /** Bytes that an earlier call had left. */
  readonly resumedFrom: number
  readonly seconds: number
  /** Rate of the bytes that arrived in this call. */
  readonly bytesPerSecond: number
  readonly retries: number
  readonly connections: number | undefined
  readonly ended: 'finished' | 'failed' | 'interrupted'
  /** False where a cut would look like the end. */
  readonly endKnown: boolean | undefined
  readonly sha256: string | undefined
  readonly timing: GetResult['timing'] | undefined
  readonly error: Described | undefined
}

const PAGE_BYTES = 256 * 1024

export class Downloads {
  readonly #options: DownloadOptions
  readonly #output: Output
  readonly #signal: AbortSignal
  readonly #pool: PagePool<Page>
  readonly #common: GetOptions
  #failed = 0
  #bytes = 0
  #failure: Described | undefined
  #stdout: Sink | undefined
  #stdoutClosed = false

  private constructor(
    options: DownloadOptions,
    output: Output,
    signal: AbortSignal,
    pool: PagePool<Page>,
    more: Pick<GetOptions, 'tls' | 'wakeBatching'>,
  ) {
    this.#options = options
    this.#output = output
    this.#signal = signal
    this.#pool = pool
    this.#common = {
      connections: options.connections,
      retries: options.retries,
      onChange: options.onChange,
      connectTimeoutMs: options.connectTimeout,
      headTimeoutMs: options.stallTimeout,
      stallTimeoutMs: options.stallTimeout,
      headers: headersOf(options.header ?? []),
      crossOriginHeaders: options.crossOriginHeader ?? [],
      allowDowngrade: options.allowDowngrade === true,
      proxy: options.proxy,
      decompress: options.decompress === true,
      raw: options.raw === true,
      sha256: options.sha256 ?? false,
      ...(options.user === undefined ? {} : { authorization: options.user }),
      ...(options.limit === undefined ? {} : { maxBytesPerSecond: options.limit }),
      ...more,
    }
  }

  static async open(
    options: DownloadOptions,
    output: Output,
    signal: AbortSignal,
  ): Promise<Downloads> {
    const { cacert, insecure } = options
    const tls = {
      ...(cacert === undefined ? {} : { ca: await readCertificates(cacert) }),
      ...(insecure === true ? { rejectUnauthorized: false } : {}),
    }
    const security = Object.keys(tls).length === 0 ? {} : { tls }
    const more = { ...security, ...(await wakeBatchingIfAny()) }
    const pool = await makePool({ pool: options.pool, pageSize: PAGE_BYTES, memory: 'host' })
    return new Downloads(options, output, signal, pool, more)
  }

  /** True if the command was interrupted or stdout was closed. */
  get over(): boolean {
    return this.#signal.aborted || this.#stdoutClosed
  }

  /** Gets one URL. Never rejects: the summary has the error. */
  async get(url: URL, destination: OutputPlace): Promise<void> {
    const deadline = new Deadline(this.#signal, this.#options.maxTime)
    const began = performance.now()
    let attempt = 1
    let bytes = 0
    let from = 0
    let total: number | undefined
    const name = destination.kind === 'file' ? destination.path : 'stdout'
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
    let stop = this.#output.progress(task)
    let result: GetResult | undefined
    let error: unknown
    try {
      result = await getInto(url, await this.#into(destination, deadline.signal), {
        ...this.#common,
        signal: deadline.signal,
        onHead: (_, length, at) => {
          total = length
          from = at
          bytes = at
          // The rate counts only bytes of this call.
          stop = this.#output.progress(task)
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
            this.#tellRetry(name, event)
          }
          if (this.#options.verbose === true) logEvent(this.#output, event)
        },
      })
      bytes = result.bytes
    } catch (cause) {
      error = deadline.reason ?? cause
    }
    deadline.end()
    stop()
    if (result !== undefined && this.#options.verbose === true) {
      logTiming(this.#output, result.timing)
    }
    this.#add(url, destination, {
      result,
      error,
      attempt,
      from,
      bytes,
      seconds: (performance.now() - began) / 1000,
    })
  }

  async close(): Promise<CommandOutcome> {
    if (!this.#signal.aborted) await this.#pool.destroy()
    return { report: { failed: this.#failed, bytes: this.#bytes }, failure: this.#failure }
  }

  async #into(destination: OutputPlace, signal: AbortSignal): Promise<GetDestination> {
    const pool = this.#pool
    if (destination.kind === 'file') {
      await makeFolderOf(destination.path)
      return { path: destination.path, resume: this.#options.resume === true, pool }
    }
    this.#stdout ??= await Sink.open('-')
    const sink = this.#stdout
    return {
      pool,
      onFrag: async (frag) => {
        try {
          // A write into a pipe without a reader may never end.
          await unlessAborted(sink.write(frag.bytes), signal)
        } catch (error) {
          this.#stdoutClosed = true
          throw error
        } finally {
          frag.release()
        }
      },
    }
  }

  #tellRetry(name: string, { error, attempt, delayMs }: GetEvent & { kind: 'retry' }): void {
    // The verbose log has the error already.
    if (this.#options.quiet === true || this.#options.verbose === true) return
    const { code, message } = describeError(error)
    const when = `in ${(delayMs / 1_000).toFixed(1)} s`
    const of = `attempt ${attempt} of ${this.#options.retries + 1}`
    this.#output.note(`netmem: ${name}: ${of} ${when}, after ${code}: ${message}`)
  }

  #add(
    url: URL,
    destination: OutputPlace,
    {
      result,
      error,
      attempt,
      from,
      bytes,
      seconds,
    }: {
      readonly result: GetResult | undefined
      readonly error: unknown
      readonly attempt: number
      readonly from: number
      readonly bytes: number
      readonly seconds: number
    },
  ): void {
    const shown = `${url.origin}${url.pathname}`
    const described = error === undefined || this.#signal.aborted ? undefined : describeError(error)
    const status: unknown = error instanceof Error ? Reflect.get(error, 'status') : undefined
    const summary: Summary = {
      url: shown,
      path: destination.kind === 'file' ? destination.path : undefined,
      status: result?.head.status ?? (typeof status === 'number' ? status : undefined),
      bytes,
      resumedFrom: from,
      seconds,
      bytesPerSecond: (bytes - from) / seconds,
      retries: attempt - 1,
      connections: result?.connections,
      endKnown: result?.endKnown,
      ended: result !== undefined ? 'finished' : described === undefined ? 'interrupted' : 'failed',
      sha256: result?.sha256,
      timing: result?.timing,
      error: described,
    }
    this.#bytes += bytes
    this.#output.report({ command: 'get', event: 'download', ...summary })
    if (described !== undefined) {
      this.#failed++
      this.#failure = described
      // One of several downloads has to be named.
      const { code, message } = described
      const named = this.#stdoutClosed || message.includes(shown)
      this.#output.complain(named ? described : { code, message: `${shown}: ${message}` })
      return
    }
    const name = destination.kind === 'file' ? destination.path : 'stdout'
    if (result?.endKnown === false && result.sha256 === undefined && this.#options.quiet !== true) {
      const why =
        'The server said no length, so a cut would look like the end; check with --sha256.'
      this.#output.note(`netmem: ${name}: ${why}`)
    }
    const parts = [name, `${bytes} bytes (${roughSize(bytes)})`, `${seconds.toFixed(3)} s`]
    parts.push(roughRate(bytes - from, seconds), result === undefined ? 'interrupted' : 'complete')
    if (result?.sha256 !== undefined) parts.push('verified')
    this.#output.result(parts.join('  '))
  }
}
