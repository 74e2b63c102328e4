/// <reference lib="esnext.disposable" preserve="true" />

/** Offers the pools of this thread to `netmem pools`, over a Unix socket. Off until it is called. */

import { chmodSync, rmSync } from 'node:fs'
import net from 'node:net'
import { basename, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { pools } from '../pool/pools.ts'
import type { PoolOfferReport } from './offer.ts'
import { makeOfferFolder, notOffered, offerFolder } from './offer-folder.ts'
import { PoolAges } from './pool-ages.ts'

/** An offer, which ends with `close()` or the process. */
export interface PoolOffer extends Disposable {
  /** Path of the Unix socket. */
  readonly path: string
  /** Resolves when the offer has ended. */
  readonly closed: Promise<void>
  /** Ends the offer and removes the socket. A second call has no effect. */
  close(): void
}

/** Interval at which the slots are looked at for the ages of memory. */
const LOOK_MS = 1000
/** A reader that takes longer is dropped. */
const READER_MS = 5000
const MAX_READERS = 16

/**
 * Offers the pools of this thread to `netmem pools` of the same user, and of root: counters, holders,
 * and the age of the oldest memory, but no bytes. A folder of mode 0700 and a socket of mode 0600
 * keep others out. It does not keep the process alive. While it lasts, the slots of all pools are
 * looked at once a second: half a millisecond for 65,536 pages that are out.
 *
 * @throws NETMEM_POOLS_NOT_OFFERED, as a rejection, without a folder for it, on Windows, and if this
 *   thread offers them already.
 *
 * @example
 * ```ts
 * import { offerPools } from 'netmem/observe'
 *
 * const offer = await offerPools()
 * console.log(offer.path) // and `netmem pools` lists them
 * offer.close()
 * ```
 */
export async function offerPools(): Promise<PoolOffer> {
  const path = join(offerFolder(), `${process.pid}-${threadId}.sock`)
  if (process.getuid === undefined) {
    throw notOffered(path, 'Windows has no such sockets', { remedy: 'Call pools() instead.' })
  }
  if (present !== undefined) {
    throw notOffered(path, 'this thread offers them already', { remedy: 'Use the first offer.' })
  }
  makeOfferFolder(offerFolder())
  // A process of the same number may have left it.
  rmSync(path, { force: true })
  const offer = new ThreadPoolOffer(path)
  present = offer
  try {
    await offer.listening
  } catch (error) {
    offer.close()
    throw notOffered(path, error instanceof Error ? error.message : String(error), { cause: error })
  }
  return offer
}

/** Offer of this thread. */
let present: ThreadPoolOffer | undefined

class ThreadPoolOffer implements PoolOffer {
  readonly path: string
  readonly closed: Promise<void>
  readonly listening: Promise<void>
  readonly #ages = new PoolAges()
  readonly #timer: NodeJS.Timeout
  readonly #server: net.Server
  readonly #remove = (): void => rmSync(this.path, { force: true })

  constructor(path: string) {
    this.path = path
    const server = net.createServer((reader) => this.#answer(reader))
    this.#server = server
    server.maxConnections = MAX_READERS
    this.closed = new Promise((resolve) => server.once('close', resolve))
    this.listening = new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, () => {
        chmodSync(path, 0o600)
        resolve()
      })
    })
    server.unref()
    this.#timer = setInterval(() => this.#ages.look(), LOOK_MS).unref()
    this.#ages.look()
    process.on('exit', this.#remove)
  }

  close(): void {
    if (present !== this) return
    present = undefined
    clearInterval(this.#timer)
    process.off('exit', this.#remove)
    this.#server.close()
    this.#remove()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #answer(reader: net.Socket): void {
    // It may leave at any time.
    reader.on('error', () => reader.destroy())
    reader.setTimeout(READER_MS, () => reader.destroy())
    reader.unref()
    reader.end(`${JSON.stringify(this.#report())}\n`)
  }

  #report(): PoolOfferReport {
    const oldest = this.#ages.oldest()
    const reports = pools().map((pool, at) => {
      const oldestMs = oldest[at]
      return oldestMs === undefined ? pool : { ...pool, oldestMs }
    })
    const program = basename(process.argv[1] ?? process.title)
    return { pid: process.pid, threadId, program, pools: reports }
  }
}
