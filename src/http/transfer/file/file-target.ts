/** Bodies into files. A small body is written at once, a larger one while more of it arrives. */

import type { Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { Body } from '../../client/body.ts'
import { httpDateMs } from '../../client/http-date.ts'
import { displayUrl } from '../../client/request.ts'
import type { ResponseHead } from '../../client/response-head.ts'
import { streamDigest } from '../digest/digest.ts'
import type { StreamDigest } from '../digest/hash-thread.ts'
import { type Entity, strongDate } from '../entity.ts'
import type { Settings } from '../settings.ts'
import type { Arrived, Claim, Target } from '../target.ts'
import { fileError, type ResolvedPath, resolveTarget } from './file-path.ts'
import { FilePool } from './file-pool.ts'
import { type FoundPart, PartFile } from './part-file.ts'
import type { Resumable } from './part-note.ts'
import { type PresentFile, presentFile } from './present-file.ts'
import { readThrough } from './read-through.ts'
import type { OpenFile } from './replace-file.ts'
import { writeWhole } from './whole-file.ts'
import { WriteBehind, writeAll } from './write-behind.ts'

/** A file. It is written under another name beside its path, and renamed when it is complete. */
export interface FileDestination {
  /** Path of the complete file. */
  readonly path: string
  /** Keeps the bytes of a failed transfer, and continues from there the next time. Default: `false`. */
  readonly resume?: boolean
  /** Pool that the body passes through. By default 16 MiB in pages of 256 KiB, kept for two seconds for the next file. */
  readonly pool?: PagePool<Page>
  /** @internal */
  readonly open?: OpenFile
}

/** Largest body that is received into one piece of memory and written in one call. */
const MAX_SMALL_BYTES = 256 * 1024

export class FileTarget implements Target {
  readonly pool: PagePool<Page>
  readonly holdsFrags = true
  #ownPool: FilePool | undefined
  readonly #destination: FileDestination
  readonly #url: URL
  readonly #settings: Settings
  /** The path, whose links {@link claim} follows. */
  #resolved: ResolvedPath
  #part: PartFile | undefined
  /** Memory of a small body. */
  #small: Uint8Array | undefined
  /** The body in the part, unless no later transfer may continue it. */
  #resumable: Resumable | undefined
  /** The file at the destination, while it may be the whole body. */
  #present: PresentFile | undefined
  #digest: StreamDigest | undefined
  /** Bytes of the part in the digest. It gets the others from the file: ranges come in any order. */
  #hashedBytes = 0

  constructor(destination: FileDestination, url: URL, settings: Settings) {
    this.#destination = destination
    this.#resolved = { path: destination.path, regular: false }
    this.#url = url
    this.#settings = settings
    if (destination.pool === undefined) {
      this.#ownPool = FilePool.take()
      this.pool = this.#ownPool.pool
    } else {
      this.pool = destination.pool
    }
  }

  /** False for a device or a pipe. */
  get seekable(): boolean {
    return this.#resolved.regular
  }

  async claim(): Promise<Claim | undefined> {
    return this.#orFail(async () => {
      this.#resolved = await resolveTarget(this.#destination.path)
      if (this.#destination.resume !== true) return undefined
      const found = await PartFile.claim(this.#resolved, displayUrl(this.#url))
      if (found !== undefined) return this.#goOnWith(found)
      this.#present = await presentFile(this.#resolved, this.#settings)
      if (this.#present === undefined) return undefined
      const { entity } = this.#present
      return { entity, bytes: entity.length, isPresent: true }
    })
  }

  async #goOnWith({ part, resumable, bytes }: FoundPart): Promise<Claim> {
    const { entity } = resumable
    const { length } = entity
    this.#part = part
    this.#resumable = resumable
    this.#beginDigest(length)
    // Ask for the last byte of a complete part again: the response says that it is complete.
    const present = length === undefined ? bytes : Math.max(0, Math.min(bytes, length - 1))
    await this.#hashPart(present)
    return { entity, bytes: present, isPresent: false }
  }

  async open(head: ResponseHead, entity: Entity): Promise<void> {
    await this.#dropBytes()
    this.#beginDigest(entity.length)
    this.#resumable = this.#resumableOf(head, entity)
    if (this.#isSmall(entity)) {
      this.#small = new Uint8Array(entity.length)
      return
    }
    // Ranges leave holes, which a later transfer could not see after a kill.
    const resumable = this.#settings.connections === 1 ? this.#resumable : undefined
    this.#part ??= await this.#orFail(() =>
      PartFile.create(this.#resolved, resumable, this.#destination.open),
    )
  }

  async receive(body: Body, at: number, arrived: Arrived): Promise<void> {
    if (this.#small === undefined) return this.#write(body, at, arrived)
    await body.readInto(this.#small.subarray(at), (bytes) => arrived(at + bytes))
    await body.atEnd()
  }

  async digest(bytes: number): Promise<string | undefined> {
    if (this.#present !== undefined) return this.#present.sha256
    if (this.#small !== undefined) await this.#digest?.update(this.#small)
    else await this.#orFail(() => this.#hashPart(bytes))
    return this.#digest?.hex()
  }

  async commit(): Promise<void> {
    const small = this.#small
    await this.#orFail(async () => {
      if (small === undefined) await this.#part?.finish(this.#resumable?.modifiedMs)
      else await writeWhole(this.#resolved, small, this.#destination.open)
    })
    await this.#ownPool?.give(this.#settings.cache)
  }

  async fail(bytes: number): Promise<void> {
    this.#digest?.drop()
    try {
      await this.#part?.keep(bytes, this.#resumable)
    } catch {
      // The caller gets the error of the transfer.
      await this.#part?.discard().catch(() => {})
    }
    await this.#ownPool?.give(this.#settings.cache)
  }

  /** Drops the bytes of an earlier attempt or transfer. */
  async #dropBytes(): Promise<void> {
    this.#small = undefined
    this.#present = undefined
    this.#digest?.drop()
    // A part is of one version. A device stays open.
    if (this.#part?.regular === false) return
    const part = this.#part
    this.#part = undefined
    await this.#orFail(async () => part?.discard())
  }

  #beginDigest(length: number | undefined): void {
    this.#digest = this.#settings.sha256 ? streamDigest(length) : undefined
    this.#hashedBytes = 0
  }

  /** Adds the bytes of the part before byte `to` that the digest lacks. */
  async #hashPart(to: number): Promise<void> {
    const digest = this.#digest
    const handle = this.#part?.handle
    if (digest === undefined || handle === undefined) return
    await readThrough(handle, this.#hashedBytes, to, (step) => digest.update(step))
    this.#hashedBytes = to
  }

  /** True if a body may be received into one piece of memory, since it need not be resumed. */
  #isSmall(entity: Entity): entity is Entity & { readonly length: number } {
    const { length = Number.POSITIVE_INFINITY } = entity
    const isPlain = this.#destination.resume !== true && this.#resolved.regular
    return isPlain && length <= MAX_SMALL_BYTES
  }

  #resumableOf({ headers }: ResponseHead, entity: Entity): Resumable | undefined {
    const { lastModified, validator } = entity
    if (this.#destination.resume !== true || validator === undefined) return undefined
    const date = strongDate(lastModified, headers.get('date'))
    const modifiedMs = date === undefined ? undefined : httpDateMs(date)
    return { url: displayUrl(this.#url), entity: { ...entity, validator }, modifiedMs }
  }

  /** Writes a body from byte `at` on. */
  async #write(body: Body, at: number, arrived: Arrived): Promise<void> {
    const part = this.#part
    if (part === undefined) throw new Error('There is no part to write to.')
    const write = (views: Uint8Array[], position: number): Promise<void> =>
      this.#orFail(() => writeAll(part.handle, views, part.regular ? position : undefined))
    const behind = new WriteBehind(at, write, arrived)
    let position = at
    try {
      for (;;) {
        const frag = await body.next()
        if (frag === undefined) break
        if (this.#digest !== undefined && position === this.#hashedBytes) {
          await this.#digest.update(frag.bytes)
          this.#hashedBytes += frag.length
        }
        position += frag.length
        await behind.add(frag)
      }
    } finally {
      // The file system uses the pages until then. Bytes before a break are good.
      await behind.end()
    }
  }

  async #orFail<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      throw fileError(this.#destination.path, cause)
    }
  }
}
