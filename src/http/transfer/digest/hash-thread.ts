/** Hash threads, seen from the receiving thread: as many as the machine can spare, ended when idle. */

import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { HttpError } from '../../http-error.ts'
import type { HashOrder } from './hash.worker.ts'

const MAX_THREADS = 4
const IDLE_MS = 2000
const SLOTS = 8
const SLOT_BYTES = 256 * 1024

/** Digest of bytes that come in their order. */
export interface StreamDigest {
  /** Takes bytes, which may be released when the promise has resolved. Never rejects. */
  update(bytes: Uint8Array): Promise<void>
  /** Resolves with the digest, in hexadecimal. */
  hex(): Promise<string>
  /** Ends the digest without a result, unless it has one. */
  drop(): void
}

/**
 * Returns the URL of the thread's script, or `undefined` where a bundler has left it out, or a bundle
 * does not know its own URL. Some bundlers rewrite URLs inside `new Worker()` for browsers, so it is
 * here.
 */
function findScript(): URL | undefined {
  try {
    const url = new URL('./hash.worker.js', import.meta.url)
    return existsSync(url) ? url : undefined
  } catch {
    return undefined
  }
}

let script: URL | undefined

const threads = new Set<HashThread>()
const idle = new Set<HashThread>()

/** Receiver of one answer of a thread. */
interface Question {
  resolve(answer: string): void
  reject(error: Error): void
}

export class HashThread {
  readonly #worker: Worker
  /** Orders that the thread has not answered, the oldest first. */
  readonly #questions: Question[] = []
  readonly #ring = new SharedArrayBuffer(SLOTS * SLOT_BYTES)
  #timer: NodeJS.Timeout | undefined
  #failure: Error | undefined

  /**
   * Returns an idle thread or a new one, or `undefined` if no core can be spared, or the script is
   * missing.
   */
  static take(): HashThread | undefined {
    for (const thread of idle) {
      idle.delete(thread)
      clearTimeout(thread.#timer)
      thread.#worker.ref()
      return thread
    }
    if (threads.size >= Math.min(MAX_THREADS, availableParallelism() - 1)) return undefined
    script ??= findScript()
    return script === undefined ? undefined : new HashThread(script)
  }

  private constructor(url: URL) {
    threads.add(this)
    // Options of the process may change how the script is loaded.
    this.#worker = new Worker(url, { execArgv: [] })
    this.#worker.on('message', (answer: string) => this.#questions.shift()?.resolve(answer))
    this.#worker.on('error', (error) => this.#failed(error))
    this.#worker.once('exit', () => this.#failed(new Error('it ended')))
  }

  /** Begins a digest: of bytes of `shared` in place, or of bytes that are copied to the thread's ring. */
  begin(shared?: SharedArrayBuffer): StreamDigest {
    this.tell({ kind: 'begin', memory: shared ?? this.#ring })
    return new ThreadDigest(this, shared === undefined ? this.#ring : undefined)
  }

  tell(order: HashOrder): void {
    this.#worker.postMessage(order)
  }

  ask(order: HashOrder): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure)
      this.#questions.push({ resolve, reject })
      this.tell(order)
    })
  }

  /** Resolves with the digest of the job, and ends it. */
  async finish(): Promise<string> {
    const hex = await this.ask({ kind: 'end' })
    idle.add(this)
    this.#worker.unref()
    this.#timer = setTimeout(() => this.end(), IDLE_MS).unref()
    return hex
  }

  /** Ends the thread without waiting for its job. */
  end(): void {
    // Leave first, so that another thread may start while this one ends.
    this.#leave()
    void this.#worker.terminate()
  }

  #leave(): void {
    threads.delete(this)
    idle.delete(this)
  }

  #failed(cause: Error): void {
    this.#leave()
    this.#failure ??= new HttpError(
      'NETMEM_DIGEST_FAILED',
      'The thread that computes digests has ended. Get the body again.',
      { cause },
    )
    for (const { reject } of this.#questions.splice(0)) reject(this.#failure)
  }
}

/** The digest that a thread computes. */
class ThreadDigest implements StreamDigest {
  /** `undefined` when the job has ended, since the thread may have another one by then. */
  #thread: HashThread | undefined
  /** Copies of bytes, unless the thread reads them in place. */
  readonly #ring: Uint8Array | undefined
  /** Answers for the slots of the ring that were filled last. */
  readonly #answers: (Promise<unknown> | undefined)[] = []
  #slot = 0
  #filledBytes = 0

  constructor(thread: HashThread, ring: SharedArrayBuffer | undefined) {
    this.#thread = thread
    this.#ring = ring === undefined ? undefined : new Uint8Array(ring)
  }

  async update(bytes: Uint8Array): Promise<void> {
    if (this.#ring === undefined) {
      const { byteOffset: from, byteLength } = bytes
      this.#thread?.tell({ kind: 'hash', from, to: from + byteLength, isAnswered: false })
    } else {
      for (let at = 0; at < bytes.byteLength; ) {
        at += this.#copy(bytes.subarray(at), this.#ring)
        // The thread may not have read the next slot.
        await this.#answers[this.#slot]
      }
    }
  }

  async hex(): Promise<string> {
    const thread = this.#thread
    if (thread === undefined) throw new Error('The digest has ended.')
    if (this.#filledBytes > 0) this.#send()
    this.#thread = undefined
    return thread.finish()
  }

  drop(): void {
    this.#thread?.end()
    this.#thread = undefined
  }

  /** Copies the first of `bytes` to the present slot. Returns their number. */
  #copy(bytes: Uint8Array, ring: Uint8Array): number {
    const part = bytes.subarray(0, SLOT_BYTES - this.#filledBytes)
    ring.set(part, this.#slot * SLOT_BYTES + this.#filledBytes)
    this.#filledBytes += part.byteLength
    if (this.#filledBytes === SLOT_BYTES) this.#send()
    return part.byteLength
  }

  #send(): void {
    const from = this.#slot * SLOT_BYTES
    const order = { kind: 'hash', from, to: from + this.#filledBytes, isAnswered: true } as const
    // A thread that has ended rejects the request for the digest.
    this.#answers[this.#slot] = this.#thread?.ask(order).catch(() => {})
    this.#slot = (this.#slot + 1) % SLOTS
    this.#filledBytes = 0
  }
}
