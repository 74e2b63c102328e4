/** The downloads of one `netmem get`, one after the other: their pool, their progress, their summary. */

import { readFile } from 'node:fs/promises'
import { type GetDestination, type GetOptions, type GetResult, getInto } from '../../http/index.ts'
import type { Page, PagePool } from '../../index.ts'
import { unlessAborted } from '../../net/interruption.ts'
import { type Described, describeError } from '../exit.ts'
import { makeFolderOf } from '../folder.ts'
import { lowWaterIfAny } from '../low-water.ts'
import { makePool } from '../options.ts'
import type { Output } from '../output.ts'
import { Sink } from '../recv/sink.ts'
import type { Outcome } from '../run.ts'
import { roughRate, roughSize } from '../size.ts'
import { headersOf } from './arguments.ts'
import type { Destination } from './destination.ts'

/** What they have in common. */
export interface Wishes {
  readonly sha256?: string
  readonly connections: number
  readonly resume?: true
  readonly pool: number
  readonly limit?: number
  readonly header: readonly (readonly [string, string])[]
  readonly retries: number
  readonly cacert?: string
  readonly decompress?: true
}

/** How one went. */
interface Summary {
  readonly url: string
  readonly path: string | undefined
  readonly status: number | undefined
  readonly bytes: number
  /** Those that an earlier call had left. */
  readonly resumedFrom: number
  readonly seconds: number
  /** Of those that came now. */
  readonly bytesPerSecond: number
  readonly retries: number | undefined
  readonly connections: number | undefined
  readonly sha256: string | undefined
  readonly timing: GetResult['timing'] | undefined
  readonly error: Described | undefined
}

const PAGE_BYTES = 256 * 1024

export class Downloads {
  readonly #wishes: Wishes
  readonly #output: Output
  readonly #signal: AbortSignal
  readonly #pool: PagePool<Page>
  readonly #common: GetOptions
  readonly #summaries: Summary[] = []
  #stdout: Sink | undefined
  #stdoutClosed = false

  private constructor(
    wishes: Wishes,
    output: Output,
    signal: AbortSignal,
    more: Pick<GetOptions, 'tls' | 'lowWater'>,
  ) {
    this.#wishes = wishes
    this.#output = output
    this.#signal = signal
    this.#pool = makePool({ pool: wishes.pool, pageSize: PAGE_BYTES, memory: 'host' })
    this.#common = {
      signal,
      connections: wishes.connections,
      retries: wishes.retries,
      headers: headersOf(wishes.header),
      decompress: wishes.decompress === true,
      sha256: wishes.sha256 ?? false,
      ...(wishes.limit === undefined ? {} : { maxBytesPerSecond: wishes.limit }),
      ...more,
    }
  }

  static async open(wishes: Wishes, output: Output, signal: AbortSignal): Promise<Downloads> {
    const ca = wishes.cacert === undefined ? undefined : await readFile(wishes.cacert, 'utf8')
    const tls = ca === undefined ? {} : { tls: { ca } }
    return new Downloads(wishes, output, signal, { ...tls, ...(await lowWaterIfAny()) })
  }

  /** Whether there is nobody to get anything for any more. */
  get over(): boolean {
    return this.#signal.aborted || this.#stdoutClosed
  }

  /** Gets one URL. Never rejects: what went wrong is in the summary. */
  async get(url: URL, destination: Destination): Promise<void> {
    const began = performance.now()
    let bytes = 0
    let from = 0
    let total: number | undefined
    const name = destination.kind === 'file' ? destination.path : 'stdout'
    const task = {
      label: name,
      get totalBytes() {
        return total
      },
      bytes: () => bytes,
    }
    let stop = this.#output.progress(task)
    let result: GetResult | undefined
    let error: unknown
    try {
      result = await getInto(url, await this.#into(destination), {
        ...this.#common,
        onHead: (_, length, at) => {
          total = length
          from = at
          bytes = at
          // What was there already is not to count as a rate.
          stop = this.#output.progress(task)
        },
        onProgress: (now) => {
          bytes = now
        },
      })
      bytes = result.bytes
    } catch (cause) {
      error = cause
    }
    stop()
    this.#add(url, destination, {
      result,
      error,
      from,
      bytes,
      seconds: (performance.now() - began) / 1000,
    })
  }

  async close(): Promise<Outcome> {
    if (!this.#signal.aborted) await this.#pool.destroy()
    const failed = this.#summaries.filter(({ error }) => error !== undefined)
    return {
      report: {
        downloads: this.#summaries,
        failed: failed.length,
        bytes: this.#summaries.reduce((sum, { bytes }) => sum + bytes, 0),
      },
      failure: failed.at(-1)?.error,
    }
  }

  async #into(destination: Destination): Promise<GetDestination> {
    const pool = this.#pool
    if (destination.kind === 'file') {
      await makeFolderOf(destination.path)
      return { path: destination.path, resume: this.#wishes.resume === true, pool }
    }
    this.#stdout ??= await Sink.open('-')
    const sink = this.#stdout
    return {
      pool,
      onFrag: async (frag) => {
        try {
          // A write into a pipe that nobody reads may never end.
          await unlessAborted(sink.write(frag.bytes), this.#signal)
        } catch (error) {
          this.#stdoutClosed = true
          throw error
        } finally {
          frag.release()
        }
      },
    }
  }

  #add(
    url: URL,
    destination: Destination,
    {
      result,
      error,
      from,
      bytes,
      seconds,
    }: {
      readonly result: GetResult | undefined
      readonly error: unknown
      readonly from: number
      readonly bytes: number
      readonly seconds: number
    },
  ): void {
    const shown = `${url.origin}${url.pathname}`
    const described = error === undefined || this.#signal.aborted ? undefined : describeError(error)
    const status: unknown = error instanceof Error ? Reflect.get(error, 'status') : undefined
    this.#summaries.push({
      url: shown,
      path: destination.kind === 'file' ? destination.path : undefined,
      status: result?.head.status ?? (typeof status === 'number' ? status : undefined),
      bytes,
      resumedFrom: from,
      seconds,
      bytesPerSecond: (bytes - from) / seconds,
      retries: result?.retries,
      connections: result?.connections,
      sha256: result?.sha256,
      timing: result?.timing,
      error: described,
    })
    if (described !== undefined) {
      // Of several downloads one wants to know which.
      const { code, message } = described
      const named = message.includes(shown)
      this.#output.complain(named ? described : { code, message: `${shown}: ${message}` })
      return
    }
    const name = destination.kind === 'file' ? destination.path : 'stdout'
    const parts = [name, `${bytes} bytes (${roughSize(bytes)})`, `${seconds.toFixed(3)} s`]
    parts.push(roughRate(bytes - from, seconds), result === undefined ? 'interrupted' : 'complete')
    if (result?.sha256 !== undefined) parts.push('verified')
    this.#output.result(parts.join('  '))
  }
}
