/**
 * The client's parameters: its first JSON, parsed into parameters or a refusal. Pure. A refusal carries
 * the numbers that make the client print the fitting message.
 */

import type { Fields } from '../../errors.ts'
import { integer, parseFields, string } from './fields.ts'
import { ClientError, SentErrno } from './protocol.ts'

interface Refusal {
  readonly error: ClientError
  readonly errno: SentErrno
  /** Title in this side's report. */
  readonly reason: string
}

/** Limit that ends the test. The client alone applies it. */
type EndCondition =
  | { readonly kind: 'time'; readonly seconds: number }
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'blocks'; readonly blocks: number }
  | { readonly kind: 'open' }

export interface Parameters {
  readonly streams: number
  readonly end: EndCondition
  readonly omitSeconds: number
  readonly blockBytes: number
  /** The client wants this side's report in the results (`--get-server-output`). */
  readonly serverOutput: boolean
  readonly title: string | undefined
  readonly clientVersion: string | undefined
}

export type ParsedParameters =
  | { readonly kind: 'accepted'; readonly parameters: Parameters }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

// The bounds of iperf3's own options (`iperf.h`, MAX_*). The limit of `--omit` is 60 seconds in 3.12, and
// 600 in later versions.
const MAX_STREAMS = 128
const MAX_SECONDS = 86_400
const MAX_OMIT_SECONDS = 600
const MAX_BLOCK_BYTES = 1024 * 1024
const DEFAULT_BLOCK_BYTES = 128 * 1024

/** Fields of options that this server does not support. */
const UNSUPPORTED: Readonly<Record<string, Refusal>> = {
  udp: refusal(ClientError.protocol, 'UDP (-u) is not supported: this server measures TCP'),
  sctp: refusal(ClientError.noSctp, 'SCTP is not supported: this server measures TCP'),
  reverse: refusal(ClientError.notImplemented, '-R is not supported: this server only receives'),
  bidirectional: refusal(ClientError.notImplemented, '--bidir is not supported: it only receives'),
  skip_rx_copy: refusal(ClientError.notImplemented, '--skip-rx-copy is not supported'),
  authtoken: refusal(ClientError.authorization, '--username is not supported: it knows no users'),
  server_affinity: refusal(
    ClientError.affinity,
    '-A n,m is not supported: give one number',
    SentErrno.notSupported,
  ),
}

/**
 * Reads the client's parameters. Fields that concern only the sender (`-C`, `-w`, `-M`, `-b`, …)
 * are ignored.
 */
export function parseParameters(text: string): ParsedParameters {
  const fields = parseFields(text)
  if (fields === undefined) {
    const reason = 'the parameters are not a JSON object'
    const { receiveParameters } = ClientError
    return { kind: 'refused', refusal: refusal(receiveParameters, reason, SentErrno.invalid) }
  }
  for (const [field, refusal] of Object.entries(UNSUPPORTED)) {
    if (isAsked(fields, field)) return { kind: 'refused', refusal }
  }

  const streams = integer(fields, 'parallel') ?? 1
  const seconds = integer(fields, 'time') ?? 0
  const omitSeconds = integer(fields, 'omit') ?? 0
  const bytes = integer(fields, 'num') ?? 0
  const blocks = integer(fields, 'blockcount') ?? 0
  const blockBytes = integer(fields, 'len') ?? DEFAULT_BLOCK_BYTES
  const limits = [
    {
      kept: streams >= 1 && streams <= MAX_STREAMS,
      refusal: refusal(ClientError.streamCount, `-P ${streams} is not from 1 to ${MAX_STREAMS}`),
    },
    {
      kept: seconds <= MAX_SECONDS,
      refusal: refusal(ClientError.duration, `-t ${seconds} is over ${MAX_SECONDS} seconds`),
    },
    {
      kept: omitSeconds <= MAX_OMIT_SECONDS,
      refusal: refusal(ClientError.omit, `-O ${omitSeconds} is over ${MAX_OMIT_SECONDS} seconds`),
    },
    {
      kept: blockBytes >= 1 && blockBytes <= MAX_BLOCK_BYTES,
      refusal: refusal(
        ClientError.blockSize,
        `-l ${blockBytes} is not from 1 to ${MAX_BLOCK_BYTES} bytes`,
      ),
    },
    {
      kept: bytes === 0 || blocks === 0,
      refusal: refusal(ClientError.endConditions, '-n and -k exclude each other'),
    },
  ]
  const broken = limits.find(({ kept }) => !kept)
  if (broken !== undefined) return { kind: 'refused', refusal: broken.refusal }

  return {
    kind: 'accepted',
    parameters: {
      streams,
      end: endCondition(bytes, blocks, seconds),
      omitSeconds,
      blockBytes,
      serverOutput: integer(fields, 'get_server_output') === 1,
      title: shown(fields, 'title'),
      clientVersion: shown(fields, 'client_version'),
    },
  }
}

/** True if the client sets an option. CPU 0 of `server_affinity` counts as set. */
function isAsked(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (typeof value === 'string') return value !== ''
  const number = integer(fields, name)
  return value === true || (number !== undefined && (number > 0 || name === 'server_affinity'))
}

function endCondition(bytes: number, blocks: number, seconds: number): EndCondition {
  if (bytes > 0) return { kind: 'bytes', bytes }
  if (blocks > 0) return { kind: 'blocks', blocks }
  return seconds > 0 ? { kind: 'time', seconds } : { kind: 'open' }
}

/** Returns an untrusted text for printing: one line without control characters. */
function shown(fields: Fields, name: string): string | undefined {
  return string(fields, name)
    ?.replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .slice(0, 120)
}

function refusal(error: ClientError, reason: string, errno: SentErrno = SentErrno.none): Refusal {
  return { error, errno, reason }
}
