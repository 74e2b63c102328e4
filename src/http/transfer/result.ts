/** The result of a transfer. */

import { ConnectionError } from '../../errors.ts'
import type { Exchange } from '../client/exchange.ts'
import type { ResponseHead } from '../client/response-head.ts'

/** Durations of a transfer, in milliseconds. */
export interface GetTiming {
  /**
   * Duration of connecting, TLS included, or 0 for a connection that was used before, or that undici
   * made.
   */
  readonly connectMs: number
  /** Duration of the TLS handshake within that. */
  readonly tlsMs: number
  /** Milliseconds from the call to the first byte of the last response. */
  readonly firstByteMs: number
  /** Milliseconds from the call to the end of the body. */
  readonly lastByteMs: number
}

/** Result of a complete transfer. */
export interface GetResult {
  /** Head of the last response, which after a break brought only a part. */
  readonly head: ResponseHead
  /** URL of the response after redirects, without user and password. */
  readonly url: string
  /** Bytes of the whole body, including the bytes of an earlier transfer. */
  readonly bytes: number
  /**
   * False if the body ended with its connection and had no declared length. A cut looks the same then,
   * also over TLS (RFC 9112, 9.8): compare its SHA-256.
   */
  readonly endKnown: boolean
  /** Digest in hexadecimal, or `undefined` unless the options ask for it. */
  readonly sha256: string | undefined
  /** Attempts made after the first. */
  readonly retries: number
  /** Connections that carried ranges of the body at once. */
  readonly connections: number
  /** Durations of the transfer. */
  readonly timing: GetTiming
}

/** Facts of a transfer besides its last response. */
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

/** Returns the result of a transfer whose last bytes came with `last`. */
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
