/** The result of a transfer. */

import type { ResponseHead } from '../client/response-head.ts'

/** Durations of a transfer, in milliseconds. */
export interface GetTiming {
  /**
   * Duration of connecting, TLS included, or 0 for a connection that was used before.
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
