/** A body into a file, by way of pool pages: one is written while others fill. */

import { type FileHandle, open } from 'node:fs/promises'

import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import type { AbortScope } from '../client/abort-scope.ts'
import type { Body } from '../client/body.ts'
import { httpDateMs } from '../client/http-date.ts'
import { shown } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { STEP_BYTES, streamDigest } from './digest/digest.ts'
import type { StreamDigest } from './digest/hash-thread.ts'
import { type Entity, strongDate } from './entity.ts'
import { Pace } from './pace.ts'
import { type Destination, fileError, resolveTarget } from './part/file-path.ts'
import { type OpenFile, PartFile } from './part/part-file.ts'
import type { Resumable } from './part/part-note.ts'
import type { Settings } from './settings.ts'
import { type Claim, NOTHING, type RangeTarget, type Target } from './target.ts'
import { WriteBehind } from './write-behind.ts'

/** A file, written under another name beside it and renamed when it is complete. */
export interface FileDestination {
  readonly path: string
  /** Keeps what arrived when the transfer fails, and goes on from there the next time. */
  readonly resume?: boolean
  /** What the body passes through: 16 MiB in pages of 256 KiB by default, made and given back each time. */
  readonly pool?: PagePool<Page>
  /** @internal */
  readonly open?: OpenFile
}

const POOL_PAGES = 64
const POOL_PAGE_BYTES = 256 * 1024

export class FileTarget implements Target, RangeTarget {
  readonly pool: PagePool<Page>
  readonly holdsFrags = true
  readonly takeWhole: undefined
  readonly #ownPool: boolean
  readonly #destination: FileDestination
  readonly #url: URL
  readonly #settings: Settings
  readonly #abort: AbortScope
  readonly #pace: Pace
  #resolved: Destination | undefined
  #part: PartFile | undefined
  #entity: Entity | undefined
  /** Set while the file at the destination may be the whole body; the server is to say so. */
  #present: { readonly sha256: string | undefined } | undefined
  /** The date by which the server knows this version of the body; the file's date, once it is complete. */
  #modifiedMs: number | undefined
  #position = 0
  #digest: StreamDigest | undefined
  /** Ranges arrive in any order: the digest is computed from the file. */
  #scattered = false

  constructor(destination: FileDestination, url: URL, settings: Settings, abort: AbortScope) {
    this.#destination = destination
    this.#url = url
    this.#settings = settings
    this.#abort = abort
    this.#pace = new Pace(settings.maxBytesPerSecond)
    this.#ownPool = destination.pool === undefined
    this.pool =
      destination.pool ?? createPool(hostProvider({ pages: POOL_PAGES, pageSize: POOL_PAGE_BYTES }))
  }

  get position(): number {
    return this.#position
  }

  get ranges(): RangeTarget | undefined {
    return this.#resolved?.regular === true ? this : undefined
  }

  /** What was written to a device or a pipe is gone for good. */
  get canRestart(): boolean {
    return this.#part?.regular !== false || this.#position === 0
  }

  async claim(): Promise<Claim> {
    return this.#orFail(async () => {
      this.#resolved = await resolveTarget(this.#destination.path)
      if (this.#destination.resume !== true) return NOTHING
      const found = await PartFile.claim(this.#resolved, shown(this.#url))
      if (found === undefined) return this.#claimPresent(this.#resolved)
      const { part, resumable, bytes } = found
      const { entity } = resumable
      this.#part = part
      this.#entity = entity
      this.#modifiedMs = resumable.modifiedMs
      // Of a file that is complete the last byte is asked for again: the server's word that it is.
      this.#position = Math.min(bytes, (entity.length ?? Number.POSITIVE_INFINITY) - 1)
      if (this.#position < 1) this.#position = 0
      this.#digest = this.#settings.sha256 ? streamDigest(entity.length) : undefined
      await this.#hashFile(part.handle, this.#position)
      return { kind: 'part', entity }
    })
  }

  /**
   * Takes the file that is there for the whole body if it has the right digest, or the date of a
   * version: the server is asked for what comes behind its last byte.
   */
  async #claimPresent({ path, mode }: Destination): Promise<Claim> {
    if (mode === undefined) return NOTHING
    const { expectedSha256 } = this.#settings
    const handle = await open(path, 'r')
    try {
      const { size, mtimeMs } = await handle.stat()
      const isDated = mtimeMs % 1000 === 0 && Date.now() - mtimeMs >= 1000
      if (size === 0 || (expectedSha256 === undefined && !isDated)) return NOTHING
      this.#digest = this.#settings.sha256 ? streamDigest(size) : undefined
      await this.#hashFile(handle, size)
      const sha256 = await this.#digest?.hex()
      this.#digest = undefined
      if (expectedSha256 !== undefined && sha256 !== expectedSha256) return NOTHING
      this.#present = { sha256 }
      this.#position = size
      // The digest says more than a date, which the server need not know.
      const date = expectedSha256 === undefined ? new Date(mtimeMs).toUTCString() : undefined
      const entity = { length: size, etag: undefined, lastModified: date, validator: date }
      return { kind: 'present', entity }
    } finally {
      await handle.close()
    }
  }

  async open(head: ResponseHead, entity: Entity): Promise<void> {
    this.#entity = entity
    const modified = strongDate(entity.lastModified, head.headers.get('date'))
    this.#modifiedMs = modified === undefined ? undefined : httpDateMs(modified)
    this.#digest?.drop()
    this.#digest = this.#settings.sha256 ? streamDigest(entity.length) : undefined
    await this.#orFail(async () => {
      await this.#dropPart()
      await this.#makePart()
    })
  }

  async receive(body: Body): Promise<void> {
    if (this.#part === undefined) await this.#orFail(() => this.#makePart())
    await this.#write(body, this.#position, (bytes) => {
      this.#position += bytes
      this.#settings.onProgress?.(this.#position)
    })
  }

  async receiveAt(
    body: Body,
    at: number,
    _length: number,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    this.#scattered = true
    let written = 0
    await this.#write(body, at, (bytes) => {
      written += bytes
      onBytes(written)
    })
  }

  reached(position: number): void {
    this.#position = position
  }

  async restart(): Promise<void> {
    this.#position = 0
    this.#scattered = false
    this.#digest?.drop()
    this.#digest = this.#settings.sha256 ? streamDigest(this.#entity?.length) : undefined
    this.#present = undefined
    await this.#orFail(() => this.#dropPart())
  }

  async digest(): Promise<string | undefined> {
    if (this.#present !== undefined) return this.#present.sha256
    const handle = this.#part?.handle
    if (this.#scattered && handle !== undefined) await this.#hashFile(handle, this.#position)
    return this.#digest?.hex()
  }

  async commit(): Promise<void> {
    const modifiedMs = this.#destination.resume === true ? this.#modifiedMs : undefined
    await this.#orFail(async () => this.#part?.finish(modifiedMs))
    this.#part = undefined
    await this.#endPool()
  }

  async fail(keep: boolean): Promise<void> {
    this.#digest?.drop()
    const part = this.#part
    this.#part = undefined
    try {
      if (part !== undefined && keep && this.#destination.resume === true) {
        await part.keep(this.#position)
      } else {
        await part?.discard()
      }
    } catch {
      // The transfer has failed, and that is what its caller hears of.
      await part?.discard().catch(() => {})
    }
    await this.#endPool()
  }

  /** Leaves nothing of a file, since its part is of one version; a device stays as it is. */
  async #dropPart(): Promise<void> {
    if (this.#part?.regular === false) return
    const part = this.#part
    this.#part = undefined
    await part?.discard()
  }

  /** Makes the file that is written. A part holds bytes of one version of the body, all its life. */
  async #makePart(): Promise<void> {
    this.#resolved ??= await resolveTarget(this.#destination.path)
    this.#part ??= await PartFile.create(this.#resolved, this.#resumable, this.#destination.open)
  }

  get #resumable(): Resumable | undefined {
    const entity = this.#entity
    if (this.#destination.resume !== true || entity?.validator === undefined) return undefined
    // With ranges the file has holes that nobody could tell after a kill.
    const sequential = this.#settings.connections === 1
    const { validator } = entity
    const modifiedMs = this.#modifiedMs
    return { url: shown(this.#url), entity: { ...entity, validator }, modifiedMs, sequential }
  }

  /** Writes a body at `at`; `written` is told of each piece. */
  async #write(body: Body, at: number, written: (bytes: number) => void): Promise<void> {
    const behind = new WriteBehind(
      at,
      (views, position) => this.#writeAll(views, position),
      written,
    )
    try {
      for (;;) {
        const frag = await body.next()
        if (frag === undefined) break
        const { length } = frag
        try {
          if (!this.#scattered) await this.#digest?.update(frag.bytes)
        } catch (error) {
          frag.release()
          throw error
        }
        await behind.add(frag)
        if (this.#pace.limits) await this.#pace.after(length, this.#abort.signal)
      }
      await behind.end()
    } finally {
      // The file system has the pages until then; and what arrived before a break is good.
      await behind.settled()
    }
  }

  async #writeAll(views: Uint8Array[], at: number): Promise<void> {
    const part = this.#part
    if (part === undefined) throw fileError(this.#destination.path, 'it is closed')
    let position = at
    let rest = views
    while (rest.length > 0) {
      const { bytesWritten } = await this.#orFail(() =>
        part.handle.writev(rest, part.regular ? position : undefined),
      )
      position += bytesWritten
      rest = unwritten(rest, bytesWritten)
    }
  }

  async #hashFile(handle: FileHandle, to: number): Promise<void> {
    if (this.#digest === undefined) return
    const step = Buffer.allocUnsafeSlow(4 * STEP_BYTES)
    for (let at = 0; at < to; ) {
      const { bytesRead } = await this.#orFail(() =>
        handle.read(step, 0, Math.min(step.byteLength, to - at), at),
      )
      if (bytesRead === 0) throw fileError(this.#destination.path, 'it has become shorter')
      await this.#digest.update(step.subarray(0, bytesRead))
      at += bytesRead
    }
  }

  async #orFail<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      throw fileError(this.#destination.path, cause)
    }
  }

  async #endPool(): Promise<void> {
    if (!this.#ownPool) return
    this.#settings.cache?.forget(this.pool)
    await this.pool.destroy()
  }
}

/** What is left of `views` when their first `bytes` bytes are written. */
function unwritten(views: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let done = bytes
  const rest: Uint8Array[] = []
  for (const view of views) {
    const skipped = Math.min(done, view.byteLength)
    done -= skipped
    if (skipped < view.byteLength) rest.push(skipped === 0 ? view : view.subarray(skipped))
  }
  return rest
}
