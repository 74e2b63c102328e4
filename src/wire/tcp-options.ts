/** TCP options (RFC 9293, 3.1), read in any order and written in the order and with the padding of Linux. */

import { ArgumentRangeError } from '../errors.ts'
import { getInt32, getUint8, getUint16, setInt32, setUint16 } from './bytes.ts'

/** Bytes of options that a TCP header has room for. */
export const MAX_TCP_OPTION_BYTES = 40

/** Blocks that an option of 40 bytes has room for (RFC 2018, 3). */
const MAX_SACK_BLOCKS = 4
/** Larger shifts count as this one (RFC 7323, 2.3). */
const MAX_WINDOW_SCALE = 14

// Kinds, and the bytes of those with a fixed length.
const END = 0
const NO_OPERATION = 1
const MAXIMUM_SEGMENT_SIZE = 2
const MAXIMUM_SEGMENT_SIZE_BYTES = 4
const WINDOW_SCALE = 3
const WINDOW_SCALE_BYTES = 3
const SACK_PERMITTED = 4
const SACK_PERMITTED_BYTES = 2
const SACK = 5
const SACK_BLOCK_BYTES = 8
const TIMESTAMPS = 8
const TIMESTAMPS_BYTES = 10

/** Options of a TCP segment, read or to be written. One object serves all segments. */
export class TcpOptions {
  /** Bytes, 1 to 65,535 (RFC 9293, 3.7.1), or 0 without the option. */
  mssBytes = 0
  /** Shift count, 0 to 14 (RFC 7323, 2), or −1 without the option. */
  windowScale = -1
  /** True if the sender takes selective acknowledgments (RFC 2018, 2). */
  sackPermitted = false
  /** True if the next two fields are there (RFC 7323, 3). */
  hasTimestamps = false
  /** Timestamp of the sender (TSval), signed 32 bits. */
  timestamp = 0
  /** Latest timestamp of the other side (TSecr), signed 32 bits. */
  timestampEcho = 0
  /** Blocks in `sackEdges`: 0 to 4 (RFC 2018, 3). */
  sackBlocks = 0
  /** First sequence number of each block, and the one behind its last. */
  readonly sackEdges: Int32Array = new Int32Array(2 * MAX_SACK_BLOCKS)

  /** Takes all options out. */
  clear(): this {
    this.mssBytes = 0
    this.windowScale = -1
    this.sackPermitted = false
    this.hasTimestamps = false
    this.timestamp = 0
    this.timestampEcho = 0
    this.sackBlocks = 0
    return this
  }
}

/**
 * Reads the TCP options from byte `at` to `end`. Unknown ones are skipped.
 *
 * @returns false if the length of an option is wrong (RFC 9293, 3.1, MUST-7), and `into` has the
 * options before it.
 */
export function parseTcpOptions(
  bytes: Uint8Array,
  at: number,
  end: number,
  into: TcpOptions,
): boolean {
  into.clear()
  for (let option = at; option < end; ) {
    const kind = getUint8(bytes, option)
    if (kind === END) return true
    if (kind === NO_OPERATION) {
      option++
      continue
    }
    const length = option + 1 < end ? getUint8(bytes, option + 1) : 0
    if (length < 2 || option + length > end) return false
    if (!parseOption(bytes, option + 2, kind, length, into)) return false
    option += length
  }
  return true
}

/** Reads one option of `length` bytes, whose data begins at byte `at`, or false if its length is wrong. */
function parseOption(
  bytes: Uint8Array,
  at: number,
  kind: number,
  length: number,
  into: TcpOptions,
): boolean {
  switch (kind) {
    case MAXIMUM_SEGMENT_SIZE:
      if (length !== MAXIMUM_SEGMENT_SIZE_BYTES) return false
      into.mssBytes = getUint16(bytes, at)
      return true
    case WINDOW_SCALE:
      if (length !== WINDOW_SCALE_BYTES) return false
      into.windowScale = Math.min(getUint8(bytes, at), MAX_WINDOW_SCALE)
      return true
    case SACK_PERMITTED:
      into.sackPermitted = length === SACK_PERMITTED_BYTES
      return into.sackPermitted
    case TIMESTAMPS:
      if (length !== TIMESTAMPS_BYTES) return false
      into.hasTimestamps = true
      into.timestamp = getInt32(bytes, at)
      into.timestampEcho = getInt32(bytes, at + 4)
      return true
    case SACK:
      return parseSack(bytes, at, length - 2, into)
    default:
      return true
  }
}

function parseSack(bytes: Uint8Array, at: number, length: number, into: TcpOptions): boolean {
  const blocks = length / SACK_BLOCK_BYTES
  if (!Number.isInteger(blocks) || blocks === 0 || blocks > MAX_SACK_BLOCKS) return false
  into.sackBlocks = blocks
  for (let edge = 0; edge < 2 * blocks; edge++) {
    into.sackEdges[edge] = getInt32(bytes, at + 4 * edge)
  }
  return true
}

/**
 * Writes TCP options at byte `at`, padded to a multiple of 4 bytes.
 *
 * @returns bytes written.
 * @throws NETMEM_OUT_OF_RANGE when they take more than {@link MAX_TCP_OPTION_BYTES}. Then no byte is
 * written.
 */
export function writeTcpOptions(bytes: Uint8Array, at: number, options: TcpOptions): number {
  checkRoom(options)
  let end = at
  if (options.mssBytes > 0) {
    end = writeKind(bytes, end, MAXIMUM_SEGMENT_SIZE, MAXIMUM_SEGMENT_SIZE_BYTES)
    setUint16(bytes, end - 2, options.mssBytes)
  }
  // SACK permitted takes the place of the timestamps' padding.
  if (options.sackPermitted) end = writeKind(bytes, end, SACK_PERMITTED, SACK_PERMITTED_BYTES)
  if (options.sackPermitted !== options.hasTimestamps) end = writePadding(bytes, end, 2)
  if (options.hasTimestamps) {
    end = writeKind(bytes, end, TIMESTAMPS, TIMESTAMPS_BYTES)
    setInt32(bytes, end - 8, options.timestamp)
    setInt32(bytes, end - 4, options.timestampEcho)
  }
  if (options.windowScale >= 0) {
    end = writePadding(bytes, end, 1)
    end = writeKind(bytes, end, WINDOW_SCALE, WINDOW_SCALE_BYTES)
    bytes[end - 1] = options.windowScale
  }
  if (options.sackBlocks > 0) {
    const edges = 2 * options.sackBlocks
    end = writePadding(bytes, end, 2)
    end = writeKind(bytes, end, SACK, 2 + 4 * edges)
    for (let edge = 0; edge < edges; edge++) {
      setInt32(bytes, end - 4 * (edges - edge), options.sackEdges[edge] ?? 0)
    }
  }
  return end - at
}

/** Writes the first two bytes of an option. Returns the offset of the option's end. */
function writeKind(bytes: Uint8Array, at: number, kind: number, length: number): number {
  bytes[at] = kind
  bytes[at + 1] = length
  return at + length
}

function writePadding(bytes: Uint8Array, at: number, length: number): number {
  for (let pad = 0; pad < length; pad++) bytes[at + pad] = NO_OPERATION
  return at + length
}

function checkRoom(options: TcpOptions): void {
  let length = options.mssBytes > 0 ? 4 : 0
  if (options.hasTimestamps) length += 12
  else if (options.sackPermitted) length += 4
  if (options.windowScale >= 0) length += 4
  if (options.sackBlocks > 0) length += 4 + SACK_BLOCK_BYTES * options.sackBlocks
  if (length <= MAX_TCP_OPTION_BYTES) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `TCP options must be at most ${MAX_TCP_OPTION_BYTES} bytes, not ${length}: leave some out.`,
  )
}
