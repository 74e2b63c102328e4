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
  /** Takes bytes. They may be released when the returned promise, if there is one, has resolved. */
  update(bytes: Uint8Array): Promise<void> | undefined
  /** Resolves with the digest, in hexadecimal. */
  hex(): Promise<string>
  /** Ends the digest without a result. */
  drop(): void
}

/** Digest of shared memory, which the thread reads in place. */
export interface SharedDigest {
  /** Hashes bytes `from` to `to` next. */
  hash(from: number, to: number): void
  hex(): Promise<string>
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

let threads = 0
const idle: HashThread[] = []

export class HashThread {
  readonly #worker: Worker
  #ring: SharedArrayBuffer | undefined
  #timer: NodeJS.Timeout | undefined
  /** Orders that the thread has not acknowledged. */
  #open = 0
  #done: (() => void) | undefined
  #digest: { resolve(hex: string): void; reject(error: Error): void } | undefined
  #failure: Error | undefined
  /** True if {@link threads} does not count it any more. */
  #left = false

  /**
   * Returns an idle thread or a new one, or `undefined` if no core can be spared, or the script is
   * missing.
   */
  static take(): HashThread | undefined {
    const thread = idle.pop()
    if (thread !== undefined) {
      clearTimeout(thread.#timer)
      thread.#worker.ref()
      return thread
    }
    if (threads >= Math.min(MAX_THREADS, availableParallelism() - 1)) return undefined
    script ??= findScript()
    return script === undefined ? undefined : new HashThread(script)
  }

  private constructor(url: URL) {
    threads++
    this.#worker = new Worker(url, {
      // Options of the process may change how the script is loaded.
      execArgv: [],
    })
    this.#worker.on('message', (said: unknown) => {
      if (typeof said === 'string') this.#digest?.resolve(said)
      else this.#acknowledged()
    })
    this.#worker.on('error', (error) => this.#failed(error))
    this.#worker.once('exit', () => this.#failed(new Error('it ended')))
  }

  /** Begins a digest of bytes that are copied to the thread's ring. */
  stream(): StreamDigest {
    this.#ring ??= new SharedArrayBuffer(SLOTS * SLOT_BYTES)
    const ring = new Uint8Array(this.#ring)
    this.#order({ memory: this.#ring, from: 0, to: 0 })
    let slot = 0
    let filled = 0
    const send = (): void => {
      this.#open++
      this.#order({ from: slot * SLOT_BYTES, to: slot * SLOT_BYTES + filled })
      slot = (slot + 1) % SLOTS
      filled = 0
    }
    const copy = (bytes: Uint8Array, from: number): number => {
      const count = Math.min(bytes.byteLength - from, SLOT_BYTES - filled)
      ring.set(bytes.subarray(from, from + count), slot * SLOT_BYTES + filled)
      filled += count
      if (filled === SLOT_BYTES) send()
      return count
    }
    const slowly = async (bytes: Uint8Array, from: number): Promise<void> => {
      for (let at = from; at < bytes.byteLength; ) {
        if (this.#open >= SLOTS - 1) await this.#acknowledgement()
        else at += copy(bytes, at)
      }
    }
    return {
      update: (bytes) => {
        let at = 0
        while (at < bytes.byteLength) {
          if (this.#open >= SLOTS - 1) return slowly(bytes, at)
          at += copy(bytes, at)
        }
        return undefined
      },
      ...this.#ending(() => {
        if (filled > 0) send()
      }),
    }
  }

  /** Begins a digest of shared memory. */
  shared(memory: SharedArrayBuffer): SharedDigest {
    this.#order({ memory, silent: true, from: 0, to: 0 })
    return {
      hash: (from, to) => {
        if (to > from) this.#order({ from, to })
      },
      ...this.#ending(() => {}),
    }
  }

  /** Returns the two calls that end the job. Only the first counts, since the thread may have another job by then. */
  #ending(flush: () => void): Pick<StreamDigest, 'hex' | 'drop'> {
    let ended = false
    return {
      hex: () => {
        ended = true
        flush()
        return this.#finish()
      },
      drop: () => {
        if (!ended) this.#drop()
        ended = true
      },
    }
  }

  #order(order: HashOrder): void {
    this.#worker.postMessage(order)
  }

  #acknowledged(): void {
    this.#open--
    const done = this.#done
    this.#done = undefined
    done?.()
  }

  #acknowledgement(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure)
      else this.#done = resolve
    })
  }

  async #finish(): Promise<string> {
    try {
      return await new Promise<string>((resolve, reject) => {
        if (this.#failure !== undefined) reject(this.#failure)
        this.#digest = { resolve, reject }
        this.#order({ from: 0, to: 0 })
      })
    } finally {
      this.#digest = undefined
      this.#rest()
    }
  }

  #rest(): void {
    if (this.#failure !== undefined) return
    idle.push(this)
    this.#worker.unref()
    this.#timer = setTimeout(() => this.#drop(), IDLE_MS).unref()
  }

  /** Ends the thread without waiting for its job. */
  #drop(): void {
    clearTimeout(this.#timer)
    // Leave first, so that another thread may start while this one ends.
    this.#leave()
    void this.#worker.terminate()
  }

  #leave(): void {
    if (this.#left) return
    this.#left = true
    threads--
    const at = idle.indexOf(this)
    if (at >= 0) idle.splice(at, 1)
  }

  #failed(cause: Error): void {
    this.#leave()
    this.#failure ??= new HttpError(
      'NETMEM_DIGEST_FAILED',
      'The thread that computes digests has ended. Get the body again.',
      { cause },
    )
    this.#digest?.reject(this.#failure)
    this.#acknowledged()
  }
}
