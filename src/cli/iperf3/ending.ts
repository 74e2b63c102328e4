/**
 * Reason to stop a test early, and the message to its client. Thrown inside a session only.
 */

import { type ClientError, encodeError, encodeState, SentErrno, State } from './protocol.ts'

export class Ending extends Error {
  /**
   * `terminated` by the client's ctrl-C or this server's end, or `refused`, since the client asked for a
   * feature that this server lacks.
   */
  readonly kind: 'terminated' | 'refused' | 'failed'
  /** The message for the client, or undefined if it has gone or knows. */
  readonly farewell: Uint8Array | undefined

  constructor(kind: Ending['kind'], reason: string, farewell?: Uint8Array) {
    super(reason)
    this.kind = kind
    this.farewell = farewell
  }
}

/** The client prints its own text for these numbers. */
export function failureEnding(
  reason: string,
  error: ClientError,
  errno: SentErrno = SentErrno.none,
): Ending {
  return new Ending('failed', reason, encodeError(error, errno))
}

/** The client shows what it measured, and says that the server has terminated. */
export function terminatedEnding(reason: string): Ending {
  return new Ending('terminated', reason, encodeState(State.serverTerminate))
}
