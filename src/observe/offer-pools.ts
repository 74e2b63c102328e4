/// <reference lib="esnext.disposable" preserve="true" />

/** Offers the pools of this thread to `netmem pools`, over a Unix socket. Off until it is called. */

import { once } from 'node:events'
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
  const server = net.createServer((reader) => {
    // A reader may leave at any time.
    reader.on('error', () => reader.destroy())
    reader.setTimeout(READER_MS, () => reader.destroy())
    reader.unref()
    reader.end(`${JSON.stringify(reportOf(ages))}\n`)
  })
  server.maxConnections = MAX_READERS
  const ages = new PoolAges()
  ages.look()
  const timer = setInterval(() => ages.look(), LOOK_MS).unref()
  const remove = (): void => rmSync(path, { force: true })
  process.on('exit', remove)
  const close = (): void => {
    if (present !== offer) return
    present = undefined
    clearInterval(timer)
    process.off('exit', remove)
    server.close()
    remove()
  }
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  const offer = { path, closed, close, [Symbol.dispose]: close }
  present = offer
  try {
    await once(server.unref().listen(path), 'listening')
    chmodSync(path, 0o600)
    return offer
  } catch (error) {
    close()
    throw notOffered(path, error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** Offer of this thread. */
let present: PoolOffer | undefined

function reportOf(ages: PoolAges): PoolOfferReport {
  const oldest = ages.oldest()
  const reports = pools().map((pool, at) => {
    const oldestMs = oldest[at]
    return oldestMs === undefined ? pool : { ...pool, oldestMs }
  })
  const program = basename(process.argv[1] ?? process.title)
  return { pid: process.pid, threadId, program, pools: reports }
}
