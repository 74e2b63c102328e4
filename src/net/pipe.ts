/** Passing everything that arrives on to a stream. */

import type { Writable } from 'node:stream'
import { ArgumentTypeError } from '../errors.ts'
import type { ReadableFrag } from '../pool/frag.ts'
import { aborted } from './connection-error.ts'

/** How frags are passed on. */
export interface PipeOptions {
  /**
   * Passes the pool's memory itself to a destination that may keep it after its write has
   * completed: only for one that is known not to.
   */
  readonly borrow?: boolean
  /** Does not end the destination at the end of the source. */
  readonly preventClose?: boolean
  /** Stops when aborted; the destination is destroyed. */
  readonly signal?: AbortSignal
}

/**
 * Writes all that `source` yields to a Node.js or web stream, one frag at a time, and gives each
 * back when its write has completed. Resolves with the number of bytes when the destination has
 * finished.
 *
 * Node streams with a readable side (`PassThrough`, `zlib`) complete a write while they still
 * hold its memory, and of a web stream nobody can tell; both get copies unless `borrow` is set.
 * Rejects with what the source or the destination fails with, NETMEM_ABORTED,
 * NETMEM_INVALID_ARGUMENT.
 *
 * @example
 * ```ts
 * import { createWriteStream } from 'node:fs'
 * import { pipeTo } from 'netmem/net'
 *
 * const bytes = await pipeTo(connection, createWriteStream('received.bin'))
 * ```
 */
export async function pipeTo(
  source: AsyncIterable<ReadableFrag>,
  destination: Writable | WritableStream<Uint8Array>,
  options: PipeOptions = {},
): Promise<number> {
  const sink = isWeb(destination) ? webSink(destination) : nodeSink(destination)
  const { signal } = options
  const copy = sink.keeps && options.borrow !== true
  let bytes = 0
  let abort = (): void => {}
  const stopped = new Promise<never>((_resolve, reject) => {
    abort = () => reject(aborted(signal?.reason))
  })
  // Nobody looks at it where nothing is written any more.
  stopped.catch(() => {})
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  const frags = source[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await Promise.race([frags.next(), stopped])
      if (next.done) break
      const frag = next.value
      try {
        await Promise.race([sink.write(copy ? new Uint8Array(frag.bytes) : frag.bytes), stopped])
      } finally {
        frag.release()
      }
      bytes += frag.length
    }
    if (options.preventClose !== true) await sink.end()
    return bytes
  } catch (error) {
    sink.destroy(error)
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    await frags.return?.()
  }
}

interface Sink {
  /** Whether memory may still be in use after its write has completed. */
  readonly keeps: boolean
  write(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
  destroy(reason: unknown): void
}

function isWeb(
  stream: Writable | WritableStream<Uint8Array>,
): stream is WritableStream<Uint8Array> {
  return 'getWriter' in stream
}

function webSink(stream: WritableStream<Uint8Array>): Sink {
  const writer = stream.getWriter()
  return {
    keeps: true,
    write: async (bytes) => {
      await writer.ready
      await writer.write(bytes)
    },
    end: () => writer.close(),
    destroy: (reason) => void writer.abort(reason).catch(() => {}),
  }
}

function nodeSink(stream: Writable): Sink {
  if (typeof stream.write !== 'function') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'pipeTo() takes a Node.js Writable or a WritableStream.',
    )
  }
  const done = (start: (settle: (error?: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      // A stream that is destroyed in between calls no callback of end().
      const closed = (): void => reject(stream.errored ?? new Error('The destination was closed.'))
      stream.once('close', closed)
      stream.once('error', reject)
      start((error) => {
        stream.off('close', closed)
        stream.off('error', reject)
        if (error === null || error === undefined) resolve()
        else reject(error)
      })
    })
  return {
    keeps: 'readable' in stream,
    write: (bytes) => done((settle) => stream.write(bytes, settle)),
    end: () => done((settle) => stream.end(settle)),
    destroy: () => void stream.once('error', () => {}).destroy(),
  }
}
