/** TCP options as bytes, in the order and with the padding that Linux sends them in. */

import { ArgumentRangeError, checkInteger } from '../errors.ts'
import { ByteWriter } from './byte-writer.ts'

/** The options a segment can carry; those left out are not in it. */
export interface TcpOptions {
  /** Maximum segment size in bytes (RFC 9293, 3.2). */
  readonly maximumSegmentSize?: number
  /** Shift count, 0 to 14 (RFC 7323, 2). */
  readonly windowScale?: number
  readonly sackPermitted?: boolean
  /** RFC 7323, 3. */
  readonly timestamps?: { readonly value: number; readonly echo: number }
  /** First sequence number, and the one behind the last, of up to four blocks (RFC 2018, 3). */
  readonly sack?: readonly { readonly left: number; readonly right: number }[]
}

const NO_OPERATION = 1
const MAXIMUM_SEGMENT_SIZE = 2
const WINDOW_SCALE = 3
const SACK_PERMITTED = 4
const SACK = 5
const TIMESTAMPS = 8
const MAX_BYTES = 40

/** The options' bytes, a multiple of 4. Throws NETMEM_OUT_OF_RANGE for more than the 40 there is room for. */
export function encodeTcpOptions(options: TcpOptions): Uint8Array {
  const { maximumSegmentSize, windowScale, sackPermitted = false, timestamps, sack = [] } = options
  const writer = new ByteWriter()
  if (maximumSegmentSize !== undefined) {
    writer.raw([MAXIMUM_SEGMENT_SIZE, 4])
    writer.field('maximumSegmentSize', 2, maximumSegmentSize)
  }
  // Takes the place of the timestamps' padding.
  if (sackPermitted) writer.raw([SACK_PERMITTED, 2])
  if (sackPermitted !== (timestamps !== undefined)) writer.raw([NO_OPERATION, NO_OPERATION])
  if (timestamps !== undefined) {
    writer.raw([TIMESTAMPS, 10])
    writer.field('timestamps.value', 4, timestamps.value)
    writer.field('timestamps.echo', 4, timestamps.echo)
  }
  if (windowScale !== undefined) {
    checkInteger('windowScale', windowScale, 0, 14)
    writer.raw([NO_OPERATION, WINDOW_SCALE, 3, windowScale])
  }
  if (sack.length > 0) {
    writer.raw([NO_OPERATION, NO_OPERATION, SACK, 2 + 8 * sack.length])
    for (const { left, right } of sack) {
      writer.field('sack.left', 4, left)
      writer.field('sack.right', 4, right)
    }
  }
  if (writer.length > MAX_BYTES) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `TCP options must be at most ${MAX_BYTES} bytes, not ${writer.length}: leave some out.`,
    )
  }
  return writer.take()
}
