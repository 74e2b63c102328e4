/** The result of a transfer. */

import { ConnectionError } from '../../errors.ts'
import type { Exchange } from '../client/exchange.ts'
import type { ResponseHead } from '../client/response-head.ts'

/** When things happened, in milliseconds. */
export interface GetTiming {
  /** How long connecting took, TLS included; 0 where a connection was used again, or undici made it. */
  readonly connectMs: number
  /** How long the TLS handshake took of that. */
  readonly tlsMs: number
  /** From the call to the first byte of the last response. */
  readonly firstByteMs: number
  /** From the call to the end of the body. */
  readonly lastByteMs: number
}

/** A body that has arrived in full. */
export interface GetResult {
  /** Of the last response: after a resumed transfer that of a part. */
  readonly head: ResponseHead
  /** Where it came from, after redirects; without user and password. */
  readonly url: string
  /** Bytes of the whole body, with those that an earlier transfer had left. */
  readonly bytes: number
  /**
   * False where the body ended with its connection and the server had said no length. Nobody can
   * tell a cut from the end then, over TLS neither (RFC 9112, 9.8): compare its SHA-256.
   */
  readonly endKnown: boolean
  /** In hexadecimal, where it was asked for. */
  readonly sha256: string | undefined
  /** Attempts made after the first. */
  readonly retries: number
  /** Connections that carried ranges of it at once. */
  readonly connections: number
  readonly timing: GetTiming
}

/** What a transfer knows of itself, besides its last response. */
interface Known {
  readonly bytes: number
  readonly isLengthKnown: boolean
  readonly sha256: string | undefined
  readonly retries: number
  readonly connections: number
  /** Time of the call, as of `performance.now()`. */
  readonly began: number
  readonly lastByteMs: number
}

/** Returns the result of a transfer that `last` brought the last bytes of. */
export function resultOf(last: Exchange | undefined, known: Known): GetResult {
  if (last === undefined) {
    throw new ConnectionError('NETMEM_ENDED_EARLY', 'There was no response.')
  }
  const { head, url, connectMs, tlsMs } = last
  const { bytes, sha256, retries, connections, began, lastByteMs } = known
  return {
    head,
    url: `${url.origin}${url.pathname}${url.search}`,
    bytes,
    endKnown: last.endKnown || known.isLengthKnown,
    sha256,
    retries,
    connections,
    timing: { connectMs, tlsMs, firstByteMs: last.firstByteAt - began, lastByteMs },
  }
}
