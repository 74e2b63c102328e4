/** Reads the pools that other processes offer. */

import { readdirSync, rmSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { type PoolOfferReport, parseOffer } from './offer.ts'
import { readableFolders } from './offer-folder.ts'

/** A process's pools, or the reason for which an offer could not be read. */
export type OfferedPools =
  | ({ readonly kind: 'process' } & PoolOfferReport)
  | {
      readonly kind: 'failed'
      /** Path of the Unix socket. */
      readonly path: string
      /** Reason in words. */
      readonly reason: string
    }

/** A process that is stopped does not answer. */
const ANSWER_MS = 2000
/** About 10,000 pools. */
const MAX_ANSWER_CHARACTERS = 8 * 2 ** 20

/**
 * Lists the pools that processes of this user offer with {@link offerPools}. For root it lists the pools
 * of all users. Offers that processes have left behind are removed.
 *
 * @returns One entry for each thread that offers, by process. Empty if none does.
 *
 * @example
 * ```ts
 * import { offeredPools } from 'netmem/observe'
 *
 * for (const offer of await offeredPools()) {
 *   if (offer.kind === 'process') console.log(offer.pid, offer.pools.length)
 * }
 * ```
 */
export async function offeredPools(): Promise<OfferedPools[]> {
  const paths = readableFolders().flatMap((folder) =>
    namesIn(folder)
      .filter((name) => /^\d+-\d+\.sock$/.test(name))
      .map((name) => join(folder, name)),
  )
  const offers = await Promise.all(paths.map(readOffer))
  return offers.filter((offer) => offer !== undefined).sort(byProcess)
}

function byProcess(a: OfferedPools, b: OfferedPools): number {
  if (a.kind === 'process' && b.kind === 'process') {
    return a.pid - b.pid || a.threadId - b.threadId
  }
  return Number(a.kind === 'failed') - Number(b.kind === 'failed')
}

/** Returns undefined for an offer that has ended. */
async function readOffer(path: string): Promise<OfferedPools | undefined> {
  try {
    const report = parseOffer(await answerOf(path))
    if (report !== undefined) return { kind: 'process', ...report }
    return { kind: 'failed', path, reason: 'its answer is of another version of netmem, or none' }
  } catch (error) {
    const { code, message }: NodeJS.ErrnoException =
      error instanceof Error ? error : new Error(String(error))
    if (code === 'ENOENT') return undefined
    if (code !== 'ECONNREFUSED') return { kind: 'failed', path, reason: message }
    // Left behind, unless the process binds its socket right now.
    if (!isAlive(Number(/(\d+)-\d+\.sock$/.exec(path)?.[1]))) rmSync(path, { force: true })
    return undefined
  }
}

function answerOf(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path)
    let text = ''
    // The limit is for the whole answer: a peer may send a byte a second.
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`))
    }, ANSWER_MS)
    socket.setEncoding('utf8')
    socket.on('data', (part: string) => {
      text += part
      if (text.length > MAX_ANSWER_CHARACTERS) socket.destroy(new Error('its answer is too long'))
    })
    socket.once('end', () => resolve(text))
    socket.once('error', reject)
    socket.once('close', () => clearTimeout(timer))
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Gone, or another user's.
    return []
  }
}
