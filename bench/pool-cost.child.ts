/**
 * Nanoseconds that the pool takes: alloc and put through the cache, through the ring, and the two
 * ends of lending frags to a thread. Fails if the first two make garbage.
 */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import {
  createFrag,
  createPool,
  hostProvider,
  type Lent,
  type Page,
  type PagePool,
  sharedProvider,
} from 'netmem'
import { Collections } from './gc.ts'
import type { BorrowerTimes } from './pool-cost.worker.ts'
import { answer } from './processes.ts'

export interface CostRequest {
  /** One thread's cache and ring, or what two threads take. */
  readonly what: 'alone' | 'shared'
  readonly rounds: number
}

const PAGES = 64
const PAGE_SIZE = 4096
/** Pages lent at once: as many as the recycle ring holds. */
const LENT = 1024

async function timed(rounds: number, run: (rounds: number) => void): Promise<number> {
  for (let i = 0; i < 5; i++) run(rounds / 20)
  const collections = new Collections()
  collections.start()
  const start = process.hrtime.bigint()
  run(rounds)
  const ns = Number(process.hrtime.bigint() - start) / rounds
  const { minor, major } = await collections.stop()
  if (minor + major > 0) throw new Error(`${minor + major} collections in ${rounds} rounds`)
  return ns
}

function throughCache(pool: PagePool<Page>, rounds: number): void {
  for (let i = 0; i < rounds; i++) {
    const page = pool.alloc()
    if (page !== undefined) pool.put(page)
  }
}

function throughRing(pool: PagePool<Page>, rounds: number): void {
  for (let i = 0; i < rounds; i++) {
    const page = pool.alloc()
    if (page !== undefined) pool.put(page, false)
  }
}

async function unshared(
  rounds: number,
): Promise<{ readonly cache: number; readonly ring: number }> {
  const pool = createPool(hostProvider({ pages: PAGES, pageSize: PAGE_SIZE }))
  const cache = await timed(rounds, (n) => throughCache(pool, n))
  const { alloc, recycle } = pool.stats()
  if (recycle.ring > 0 || alloc.fast < rounds) throw new Error('the cache was not what was used')
  const ring = await timed(rounds, (n) => throughRing(pool, n))
  if (pool.stats().recycle.ring < rounds) throw new Error('the ring was not what was used')
  await pool.destroy()
  return { cache, ring }
}

/** Nanoseconds per page. */
interface Lending {
  /** Taking a page: in the owner's thread. */
  readonly alloc: number
  /** Making the frag and lending it: in the owner's thread. */
  readonly lend: number
  /** Receiving the frag: in the borrower's thread. */
  readonly receive: number
  /** The borrower's release and the owner's taking back. */
  readonly giveBack: number
}

/**
 * Lends in large batches and leaves out what carries a batch across: that is `postMessage`, which
 * is not the pool's. Each step is timed in a separate loop.
 */
async function lent(rounds: number): Promise<Lending> {
  const pool = createPool(sharedProvider({ pages: LENT, pageSize: PAGE_SIZE }))
  const share = pool.share({ lends: LENT })
  const worker = new Worker(new URL('./pool-cost.worker.js', import.meta.url), {
    workerData: share,
  })
  await once(worker, 'online')
  const pages = new Array<Page | undefined>(LENT).fill(undefined)
  const allocs: number[] = []
  const lends: number[] = []
  const receives: number[] = []
  const returns: number[] = []
  const batches = Math.max(8, Math.ceil(rounds / LENT))
  for (let batch = 0; batch < batches; batch++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < LENT; i++) pages[i] = pool.alloc()
    const allocated = process.hrtime.bigint()
    const frags: Lent[] = []
    for (const page of pages) {
      const one = page === undefined ? page : createFrag(pool, page).lend(worker)
      if (one !== undefined) frags.push(one)
    }
    const lending = Number(process.hrtime.bigint() - allocated)
    if (frags.length !== LENT) throw new Error(`${frags.length} of ${LENT} frags were lent`)
    worker.postMessage(frags)
    const [times] = (await once(worker, 'message')) as [BorrowerTimes]
    const back = process.hrtime.bigint()
    const { available } = pool
    const takingBack = Number(process.hrtime.bigint() - back)
    if (available !== LENT) throw new Error(`${LENT - available} pages did not come back`)
    allocs.push(Number(allocated - start) / LENT)
    lends.push(lending / LENT)
    receives.push(times.receive / LENT)
    returns.push((times.release + takingBack) / LENT)
  }
  await worker.terminate()
  await pool.destroy()
  return {
    alloc: settled(allocs),
    lend: settled(lends),
    receive: settled(receives),
    giveBack: settled(returns),
  }
}

/** The median of the later half. */
function settled(values: readonly number[]): number {
  const later = values.slice(values.length / 2).sort((a, b) => a - b)
  return later[Math.floor(later.length / 2)] ?? Number.NaN
}

answer(async ({ what, rounds }: CostRequest) => {
  if (what === 'alone') return unshared(rounds)
  const { alloc, lend, receive, giveBack } = await lent(rounds / 50)
  const shared = alloc + giveBack
  return { shared, frag: shared + lend + receive }
})
