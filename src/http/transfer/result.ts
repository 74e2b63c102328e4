/** What is known of a transfer once it is done. */

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
