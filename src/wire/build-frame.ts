/**
 * Whole frames from their fields: for tests, generators and captures. Not for the data path: it
 * checks its options and makes garbage. Whoever sends many alike builds one and changes its bytes.
 */

import { ArgumentRangeError, checkInteger } from '../errors.ts'
import { type Fragment, type IpOptions, writeHeaders } from './build-headers.ts'
import { ByteWriter } from './byte-writer.ts'
import { fillChecksums, fillPartialChecksum } from './frame-checksums.ts'
import { FrameLayout, parseFrame } from './frame-layout.ts'
import type { FrameMemory } from './frame-memory.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from './ip.ts'
import { ACK } from './tcp.ts'
import { encodeTcpOptions, type TcpOptions } from './tcp-options.ts'

/** The L4 part of a frame as it is: any protocol, or a piece of one. */
export interface IpFrameOptions extends IpOptions {
  readonly protocol: number
  readonly payload: Uint8Array
  /** Makes it a fragment. */
  readonly fragment?: Fragment
}

interface L4Options extends IpOptions {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly payload?: Uint8Array
  /** `partial` leaves the sum of the pseudo-header in its place (CHECKSUM_PARTIAL); `complete` by default. */
  readonly checksum?: 'complete' | 'partial'
}

export interface TcpFrameOptions extends L4Options, TcpOptions {
  readonly seq?: number
  readonly ack?: number
  /** The flags byte, see `FrameLayout.tcpFlags`; ACK by default. */
  readonly flags?: number
  /** 65535 by default. */
  readonly window?: number
  readonly urgentPointer?: number
}

export type UdpFrameOptions = L4Options

/**
 * Writes a TCP frame at `offset` of `memory` and returns its bytes. One whose IP length does not
 * fit in 16 bits gets the length 0, as segments have that hardware is to cut (TSO), and over IPv6
 * a jumbo payload option.
 * Throws NETMEM_OUT_OF_RANGE for options out of range, and when the memory ends before the frame.
 */
export function buildTcpFrame(
  options: TcpFrameOptions,
  memory: FrameMemory,
  offset: number,
): number {
  const tcpOptions = encodeTcpOptions(options)
  const header = new ByteWriter()
  writePorts(header, options)
  header.field('seq', 4, options.seq ?? 0)
  header.field('ack', 4, options.ack ?? 0)
  header.field('data offset', 1, (20 + tcpOptions.length) << 2)
  header.field('flags', 1, options.flags ?? ACK)
  header.field('window', 2, options.window ?? 0xffff)
  header.field('checksum', 2, 0)
  header.field('urgentPointer', 2, options.urgentPointer ?? 0)
  header.raw(tcpOptions)
  return writeL4Frame(options, IPPROTO_TCP, header.take(), memory, offset)
}

/** As {@link buildTcpFrame}, a UDP datagram, whose length must fit. */
export function buildUdpFrame(
  options: UdpFrameOptions,
  memory: FrameMemory,
  offset: number,
): number {
  const header = new ByteWriter()
  writePorts(header, options)
  header.field('UDP length', 2, 8 + (options.payload?.length ?? 0))
  header.field('checksum', 2, 0)
  return writeL4Frame(options, IPPROTO_UDP, header.take(), memory, offset)
}

/** As {@link buildTcpFrame}, an IP packet or fragment with any payload, which is left as it is. */
export function buildIpFrame(options: IpFrameOptions, memory: FrameMemory, offset: number): number {
  return writeFrame(options, options.protocol, [options.payload], memory, offset, options.fragment)
}

function writeL4Frame(
  options: L4Options,
  protocol: number,
  header: Uint8Array,
  memory: FrameMemory,
  offset: number,
): number {
  const parts = options.payload === undefined ? [header] : [header, options.payload]
  const length = writeFrame(options, protocol, parts, memory, offset)
  const layout = parseFrame(memory.bytes, offset, length, new FrameLayout())
  if (options.checksum === 'partial') fillPartialChecksum(memory, offset, layout)
  else fillChecksums(memory, offset, layout)
  return length
}

function writeFrame(
  options: IpOptions,
  protocol: number,
  parts: readonly Uint8Array[],
  memory: FrameMemory,
  offset: number,
  fragment?: Fragment,
): number {
  const l4Bytes = parts.reduce((sum, part) => sum + part.length, 0)
  const writer = new ByteWriter()
  const { ipOffset, ipVersion } = writeHeaders(writer, options, protocol, l4Bytes, fragment)
  const l4Offset = writer.length
  const minimumBytes = checkInteger('minimumBytes', options.minimumBytes ?? 0, 0, 0xffff)
  const frameBytes = Math.max(l4Offset + l4Bytes, minimumBytes)
  const frame = frameAt(memory, offset, frameBytes)
  frame.set(writer.take())
  let at = l4Offset
  for (const part of parts) {
    frame.set(part, at)
    at += part.length
  }
  frame.fill(0, at)
  if (ipVersion === 4) {
    const checksum = ~memory.sum(offset + ipOffset, l4Offset - ipOffset)
    frame[ipOffset + 10] = checksum >> 8
    frame[ipOffset + 11] = checksum
  }
  return frameBytes
}

function frameAt(memory: FrameMemory, offset: number, frameBytes: number): Uint8Array {
  const { bytes } = memory
  checkInteger('offset', offset, 0, bytes.length)
  if (offset + frameBytes <= bytes.length) return bytes.subarray(offset, offset + frameBytes)
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `The frame of ${frameBytes} bytes at ${offset} does not fit in ${bytes.length} bytes of memory.`,
  )
}

function writePorts(writer: ByteWriter, options: L4Options): void {
  writer.field('sourcePort', 2, options.sourcePort)
  writer.field('destinationPort', 2, options.destinationPort)
}
