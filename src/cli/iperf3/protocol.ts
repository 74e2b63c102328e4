/**
 * The control protocol of iperf3 as a server sees it: states, error numbers, framing.
 * Pure functions over bytes. `parameters.ts` and `results.ts` read the JSON.
 *
 * iperf3 has no specification. The numbers are from `iperf_api.h` (github.com/esnet/iperf, 3.12). All
 * integers are sent in network order.
 */

/** Up to 36 printable characters, filled up with NULs, sent first on every connection of a test. */
export const COOKIE_BYTES = 37
/** Bound of the parameters. iperf3 takes 8 KiB, but `--title` and `--extra-data` may be longer. */
export const PARAMETERS_LIMIT_BYTES: number = 64 * 1024
/** Bound of the results: 128 streams need about 20 KiB. */
export const RESULTS_LIMIT_BYTES: number = 256 * 1024

/** One signed byte each. */
export const State = {
  testStart: 1,
  testRunning: 2,
  testEnd: 4,
  paramExchange: 9,
  createStreams: 10,
  serverTerminate: 11,
  clientTerminate: 12,
  exchangeResults: 13,
  displayResults: 14,
  iperfDone: 16,
  accessDenied: -1,
  serverError: -2,
} as const
export type State = (typeof State)[keyof typeof State]

/** The `i_errno` values sent after `serverError`: a client prints its own text for each. */
export const ClientError = {
  duration: 5,
  streamCount: 6,
  blockSize: 7,
  omit: 12,
  notImplemented: 13,
  endConditions: 16,
  noSctp: 18,
  unknownMessage: 110,
  receiveParameters: 114,
  receiveResults: 117,
  protocol: 131,
  affinity: 132,
  authorization: 142,
  idle: 144,
  acceptStream: 204,
} as const
export type ClientError = (typeof ClientError)[keyof typeof ClientError]

/**
 * Linux's errno values. A client appends its system's text for the number to some messages, and no text
 * for 0.
 */
export const SentErrno = { none: 0, invalid: 22, notSupported: 38, timedOut: 110 } as const
export type SentErrno = (typeof SentErrno)[keyof typeof SentErrno]

/**
 * Returns the id that both sides give to the stream opened as the `index`-th: 1, 3, 4, 5, … (there
 * is no 2).
 */
export function streamId(index: number): number {
  return index === 0 ? 1 : index + 2
}

/**
 * Returns the cookie's text, or `undefined` for bytes no client sends. The text ends at the first NUL,
 * which pads a shorter one.
 */
export function parseCookie(bytes: Uint8Array): string | undefined {
  if (bytes.length !== COOKIE_BYTES) return undefined
  const end = bytes.indexOf(0)
  const text = bytes.subarray(0, Math.max(0, end))
  if (text.length === 0 || bytes.subarray(end).some((byte) => byte !== 0)) return undefined
  return text.every((byte) => byte > 0x20 && byte < 0x7f)
    ? new TextDecoder().decode(text)
    : undefined
}

export function encodeState(state: State): Uint8Array {
  return Uint8Array.of(state & 0xff)
}

/** Encodes `serverError` and the two numbers that select the client's message. */
export function encodeError(error: ClientError, errno: SentErrno): Uint8Array {
  const bytes = Buffer.alloc(9)
  bytes.writeInt8(State.serverError, 0)
  bytes.writeInt32BE(error, 1)
  bytes.writeInt32BE(errno, 5)
  return bytes
}

/** Encodes a text in UTF-8 after its length in four bytes. */
export function encodeJson(text: string): Uint8Array {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(Buffer.byteLength(text))
  return Buffer.concat([length, Buffer.from(text)])
}
