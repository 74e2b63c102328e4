/** Streams and connections as destinations of `pipeTo`. */

import type { Writable } from 'node:stream'
import type { ByteDestination } from '../../connection.ts'
import { ArgumentTypeError, LifetimeError } from '../../errors.ts'

/** Operations that `pipeTo` needs of a destination. */
export interface PipeTarget {
  /** True if memory may still be in use after its write has completed. */
  readonly keeps: boolean
  /** Resolves when the destination no longer needs the bytes. */
  write(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
  destroy(reason: unknown): void
  /** Stops listening to the destination, which its owner uses again. */
  detach(): void
}

/**
 * Wraps a destination. `broken` is called when it fails or ends early, even while nothing is
 * written.
 */
export function pipeTargetOf(
  destination: Writable | WritableStream<Uint8Array> | ByteDestination,
  broken: (reason: unknown) => void,
): PipeTarget {
  if (isWeb(destination)) return webTarget(destination, broken)
  if (isNode(destination)) return nodeTarget(destination, broken)
  if (isByteDestination(destination)) return byteTarget(destination, broken)
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    'pipeTo() takes a Node.js Writable, a WritableStream or a connection.',
  )
}

function isByteDestination(destination: unknown): destination is ByteDestination {
  return (
    typeof destination === 'object' &&
    destination !== null &&
    ['write', 'end', 'destroy'].every(
      (name) => typeof Reflect.get(destination, name) === 'function',
    ) &&
    Reflect.get(destination, 'closed') instanceof Promise
  )
}

function byteTarget(destination: ByteDestination, broken: (reason: unknown) => void): PipeTarget {
  let left = false
  void destination.closed.then(() => {
    if (!left) broken(closedEarly())
  })
  return {
    keeps: false,
    write: (bytes) => destination.write(bytes),
    end: () => destination.end(),
    destroy: (reason) =>
      destination.destroy(reason instanceof Error ? reason : new Error(String(reason))),
    detach: () => {
      left = true
    },
  }
}

function isWeb(stream: unknown): stream is WritableStream<Uint8Array> {
  return typeof stream === 'object' && stream !== null && 'getWriter' in stream
}

function isNode(stream: unknown): stream is Writable {
  return (
    typeof stream === 'object' &&
    stream !== null &&
    typeof Reflect.get(stream, 'write') === 'function' &&
    typeof Reflect.get(stream, 'on') === 'function'
  )
}

function webTarget(
  stream: WritableStream<Uint8Array>,
  broken: (reason: unknown) => void,
): PipeTarget {
  if (stream.locked) {
    throw new LifetimeError('NETMEM_BUSY', 'The destination is locked to another writer.')
  }
  const writer = stream.getWriter()
  writer.closed.then(() => broken(closedEarly()), broken)
  return {
    keeps: true,
    write: async (bytes) => {
      await writer.ready
      await writer.write(bytes)
    },
    end: () => writer.close(),
    destroy: (reason) => void writer.abort(reason).catch(() => {}),
    detach: () => writer.releaseLock(),
  }
}

function nodeTarget(stream: Writable, broken: (reason: unknown) => void): PipeTarget {
  if (stream.destroyed || stream.writableEnded) throw stream.errored ?? closedEarly()
  // A closed stream calls back no writes, and no longer uses their memory.
  let giveUp = (_reason: unknown): void => {}
  let ended = false
  const closed = (): void => {
    if (ended) return
    const reason = stream.errored ?? closedEarly()
    giveUp(reason)
    broken(reason)
  }
  stream.on('error', broken)
  stream.on('close', closed)
  const done = (
    start: (settle: (error?: Error | null) => void) => void,
    isEnd: boolean,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      giveUp = reject
      start((error) => {
        if (error === null || error === undefined) {
          ended = isEnd
          resolve()
        } else {
          reject(error)
        }
      })
    })
  return {
    keeps: 'readable' in stream,
    write: (bytes) => done((settle) => stream.write(bytes, settle), false),
    end: () => done((settle) => stream.end(settle), true),
    destroy: (reason) => {
      stream.on('error', () => {})
      stream.destroy(reason instanceof Error ? reason : undefined)
    },
    detach: () => {
      stream.off('error', broken)
      // A write that is pending still has to learn that the stream was closed.
      if (!stream.destroyed) stream.off('close', closed)
    },
  }
}

function closedEarly(): Error {
  return Object.assign(new Error('The destination was closed before the source had ended.'), {
    code: 'ERR_STREAM_PREMATURE_CLOSE',
  })
}
