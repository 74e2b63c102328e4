/**
 * Owners of parts, as other processes see them. An owner listens on a Unix socket beside its part. The
 * kernel closes the socket when the process ends in any way, and keeps it while the process is stopped.
 * Process ids play no role, so containers may share the folder.
 *
 * Between machines, and on file systems without such sockets, the note's time counts: the owner writes
 * to its note every few seconds.
 */

import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { FREE, socketName } from './part-name.ts'

const BEAT_MS = 10_000
/** Age of a note whose owner has missed six beats. */
const STALE_MS = 60_000
/** Longest path of a socket: `sun_path` of macOS without its NUL. */
const LONGEST_ADDRESS_BYTES = 103
const PLACE_DIGITS = 12

/** State of an owner. `unknown` if the owner is on another machine or has no socket. */
export type OwnerState = 'free' | 'dead' | 'alive' | 'unknown'

let boot: Promise<string> | undefined

/**
 * Returns digits that name the running kernel and the mounted file system. Two owners of one place can
 * reach each other's sockets. Where the kernel has no id, each process is one place.
 */
export async function ownerPlace(folder: string): Promise<string> {
  boot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => randomUUID())
  const { dev } = await stat(folder)
  return createHash('sha256')
    .update(`${(await boot).trim()} ${dev}`)
    .digest('hex')
    .slice(0, PLACE_DIGITS)
}

export class PartOwner {
  /** Name of the owner, which is part of the note's name. */
  readonly name: string
  readonly #folder: string
  readonly #note: FileHandle
  readonly #beats: NodeJS.Timeout
  readonly #listening: Promise<net.Server | undefined>

  /** Begins to beat in `note`, which has the owner's name, and to listen. */
  constructor(folder: string, name: string, note: FileHandle) {
    this.name = name
    this.#folder = folder
    this.#note = note
    this.#beats = setInterval(() => touch(note).catch(() => {}), BEAT_MS).unref()
    this.#listening = listen(folder, name).catch(() => undefined)
  }

  /** Resolves when the socket listens, or cannot be made. */
  async listening(): Promise<void> {
    await this.#listening
  }

  /** Stops beating and listening. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#beats)
    const server = await this.#listening
    server?.close()
    await removeSocket(this.#folder, this.name)
    await this.#note.close().catch(() => {})
  }
}

/** Returns the state of an owner. `place` is the caller's place. */
export async function stateOf(folder: string, owner: string, place: string): Promise<OwnerState> {
  if (owner === FREE) return 'free'
  const answer = await knock(folder, socketName(owner))
  // Another kernel's socket refuses although its owner lives.
  return answer === 'dead' && !owner.startsWith(place) ? 'unknown' : answer
}

/**
 * Returns true if an owner of unknown state has not written to its note for a minute. The file system's
 * clock decides, since clocks of machines differ. The note is fresh afterwards.
 */
export async function isStale(note: FileHandle): Promise<boolean> {
  const { atime, mtime, mtimeMs } = await note.stat()
  // A time in the future was written before a clock was set back.
  if (Math.abs(Date.now() - mtimeMs) <= STALE_MS) return false
  await touch(note)
  const stale = Math.abs((await note.stat()).mtimeMs - mtimeMs) > STALE_MS
  if (!stale) await note.utimes(atime, mtime)
  return stale
}

/** Removes an owner's socket. Never rejects. */
export async function removeSocket(folder: string, owner: string): Promise<void> {
  const path = join(folder, socketName(owner))
  await rm(path, { force: true }).catch(() => {})
  await rm(unlistened(path), { force: true }).catch(() => {})
}

/** Writes the note's first byte once more, so that the file system sets its time. */
async function touch(note: FileHandle): Promise<void> {
  await note.write('{', 0)
}

/** Returns the name of a socket that does not listen yet. */
function unlistened(name: string): string {
  return `${name}~`
}

async function listen(folder: string, owner: string): Promise<net.Server> {
  const name = socketName(owner)
  const server = net.createServer((socket) => socket.destroy()).unref()
  server.on('error', () => {})
  await atAddress(
    folder,
    unlistened(name),
    (path) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        // A cluster's primary would listen, and outlive this process.
        server.listen({ path, exclusive: true }, resolve)
      }),
  )
  try {
    // Some file systems keep sockets that refuse all connections.
    if ((await knock(folder, unlistened(name))) !== 'alive') throw new Error('The socket is deaf.')
    await rename(join(folder, unlistened(name)), join(folder, name))
  } catch (error) {
    server.close()
    throw error
  }
  return server
}

async function knock(folder: string, name: string): Promise<'alive' | 'dead' | 'unknown'> {
  try {
    return await atAddress(
      folder,
      name,
      (path) =>
        new Promise((resolve) => {
          const socket = net.connect({ path })
          socket.once('connect', () => {
            socket.destroy()
            resolve('alive')
          })
          socket.once('error', (error: NodeJS.ErrnoException) =>
            resolve(error.code === 'ECONNREFUSED' ? 'dead' : 'unknown'),
          )
        }),
    )
  } catch {
    return 'unknown'
  }
}

/** Calls `use` with a path that is short enough for a socket's address. */
async function atAddress<T>(
  folder: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(folder, name)
  if (Buffer.byteLength(path) <= LONGEST_ADDRESS_BYTES) return use(path)
  if (process.platform !== 'linux') throw new Error('The path is too long for a socket.')
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await use(`/proc/self/fd/${handle.fd}/${name}`)
  } finally {
    await handle.close()
  }
}
