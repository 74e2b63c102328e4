/**
 * Owners of parts, as other processes see them. An owner listens on a Unix socket beside its part. The
 * kernel closes the socket when the process ends in any way, and keeps it while the process is stopped.
 * Process ids play no role, so containers may share the folder.
 *
 * Between machines, and on file systems without such sockets, the note's time counts: the owner writes
 * to its note every few seconds.
 */

import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import net from 'node:net'
import { basename, dirname } from 'node:path'
import { FREE, type PartName, socketPath } from './part-name.ts'

/** Time between two signs of life in a note. */
export const BEAT_MS = 10_000
/** Age of a note whose owner has missed six beats. */
const STALE_MS = 60_000
/** Longest path of a socket: `sun_path` of macOS without its NUL. */
const LONGEST_ADDRESS_BYTES = 103
const PLACE_DIGITS = 12

/** State of an owner. `unknown` if it is on another machine or has no socket. */
export type OwnerState = 'gone' | 'alive' | 'unknown'

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

/** Returns the state of the owner in a note's name. `place` is the caller's place. */
export async function stateOf(name: PartName, place: string): Promise<OwnerState> {
  if (name.owner === FREE) return 'gone'
  const answer = await knock(socketPath(name))
  // Another kernel's socket refuses although its owner lives.
  return answer === 'gone' && !name.owner.startsWith(place) ? 'unknown' : answer
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

/** Writes the note's first byte once more, so that the file system sets its time. */
export async function touch(note: FileHandle): Promise<void> {
  await note.write('{', 0)
}

/** Removes an owner's socket. Never rejects. */
export async function removeSocket(name: PartName): Promise<void> {
  const path = socketPath(name)
  await Promise.all([path, unlistened(path)].map((each) => unlink(each).catch(() => {})))
}

/** Returns the path of a socket that does not listen yet. */
function unlistened(path: string): string {
  return `${path}~`
}

/** Listens on an owner's socket. Resolves with `undefined` where there can be none. */
export async function listen(path: string): Promise<net.Server | undefined> {
  const server = net.createServer((socket) => socket.destroy()).unref()
  try {
    await atAddress(unlistened(path), async (address) => {
      // A cluster's primary would listen, and outlive this process.
      server.listen({ path: address, exclusive: true })
      await once(server, 'listening')
    })
    server.on('error', () => {})
    // Some file systems keep sockets that refuse all connections.
    if ((await knock(unlistened(path))) !== 'alive') throw new Error('The socket is deaf.')
    await rename(unlistened(path), path)
    return server
  } catch {
    server.close()
    return undefined
  }
}

async function knock(path: string): Promise<OwnerState> {
  try {
    await atAddress(path, async (address) => {
      const socket = net.connect({ path: address })
      await once(socket, 'connect')
      socket.destroy()
    })
    return 'alive'
  } catch (error) {
    const isRefused = error instanceof Error && Reflect.get(error, 'code') === 'ECONNREFUSED'
    return isRefused ? 'gone' : 'unknown'
  }
}

/** Calls `use` with a path that is short enough for a socket's address. */
async function atAddress(path: string, use: (address: string) => Promise<void>): Promise<void> {
  if (Buffer.byteLength(path) <= LONGEST_ADDRESS_BYTES) return use(path)
  // A path that Linux alone has.
  await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  await use(`/proc/self/fd/${folder.fd}/${basename(path)}`)
}
