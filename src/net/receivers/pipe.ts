/** Writes everything that arrives to a stream or another connection. */

import type { Writable } from 'node:stream'
import type { ByteDestination, PipeOptions } from '../../connection.ts'
import { type OptionNames, ownOptions } from '../../errors.ts'
import type { ReadableFrag } from '../../pool/frag.ts'
import { checkOptionalBoolean, checkSignal, invalid } from '../arguments.ts'
import { aborted } from '../connection-error.ts'
import { Interruption } from '../interruption.ts'
import { type PipeTarget, pipeTargetOf } from './pipe-target.ts'

const NAMES: OptionNames<PipeOptions> = { borrow: true, preventClose: true, signal: true }

/**
 * Writes all that `source` yields to a Node.js stream, a web stream or a connection, one frag at a time.
 * Each frag is released when its write has completed. Resolves with the number of bytes when the
 * destination has finished. A connection has finished when `end()` has told its peer.
 *
 * A Node.js stream with a readable side (`PassThrough`, `zlib`) may hold memory after its write has
 * completed, and so may a web stream. Both get copies unless `borrow` is set. On an error the
 * destination is destroyed, and the source is left as it is.
 *
 * @throws the error of the source or the destination, even while nothing arrives.
 * @throws NETMEM_ABORTED, NETMEM_BUSY, NETMEM_INVALID_ARGUMENT.
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
  destination: Writable | WritableStream<Uint8Array> | ByteDestination,
  options: PipeOptions = {},
): Promise<number> {
  const { signal, borrow, preventClose } = ownOptions('pipeTo()', options, NAMES)
  checkSignal(signal)
  checkOptionalBoolean('borrow', borrow)
  checkOptionalBoolean('preventClose', preventClose)
  if (typeof source?.[Symbol.asyncIterator] !== 'function') {
    throw invalid('pipeTo() takes a connection, or another async iterable of frags.')
  }
  const stop = new Interruption()
  const target = pipeTargetOf(destination, (reason) => stop.interrupt(reason))
  const copies = target.keeps && borrow !== true
  const abort = (): void => stop.interrupt(aborted(signal?.reason))
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  const frags = source[Symbol.asyncIterator]()
  let next: Promise<IteratorResult<ReadableFrag, unknown>> | undefined
  let bytes = 0
  try {
    for (;;) {
      next = frags.next()
      const { done, value } = await stop.until(next)
      next = undefined
      if (done === true) break
      await stop.until(copies ? target.write(copyOf(value)) : pass(target, value))
      bytes += value.length
    }
    if (preventClose !== true) await stop.until(target.end())
    return bytes
  } catch (error) {
    target.destroy(error)
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    target.detach()
    await leave(frags, next)
  }
}

/**
 * Writes a frag. Its memory belongs to the destination until it is written, however long that
 * takes.
 */
async function pass(target: PipeTarget, frag: ReadableFrag): Promise<void> {
  try {
    await target.write(frag.bytes)
  } finally {
    frag.release()
  }
}

/** Copies the bytes of a frag and releases it, even if its memory is gone. */
function copyOf(frag: ReadableFrag): Uint8Array {
  try {
    return frag.copy()
  } finally {
    frag.release()
  }
}

/** Ends the iteration, without waiting for a `next` that is pending. */
async function leave(
  frags: AsyncIterator<ReadableFrag>,
  next: Promise<IteratorResult<ReadableFrag, unknown>> | undefined,
): Promise<void> {
  const left = frags.return?.()
  if (next === undefined) {
    await left
    return
  }
  left?.catch(() => {})
  next.then(
    ({ done, value }) => {
      if (done !== true) value.release()
    },
    () => {},
  )
}
