/** Writes a pcap file in one go, for fixtures and tests. Notes about packets need pcapng. */

import { writeFileSync } from 'node:fs'

/** A packet to be written. */
export interface PcapPacket {
  readonly bytes: Uint8Array
  /** Time since 1970 or any other origin, in whole ns: 0 to 2^53 − 1. */
  readonly timeNs: number
  /** Length of the frame as it was sent. That of `bytes` by default. */
  readonly originalLength?: number
}

export interface PcapOptions {
  /** Resolution of times in the file. Microseconds by default. */
  readonly resolution?: 'us' | 'ns'
  /** Little-endian by default. */
  readonly bigEndian?: boolean
  /** Ethernet (1) by default. */
  readonly linkType?: number
  /**
   * Snap length in the file's header, 262,144 by default. Packets are written whole regardless.
   */
  readonly snapBytes?: number
}

/** Makes a pcap file at `path`, in the place of one that is there. */
export function writePcap(
  path: string,
  packets: readonly PcapPacket[],
  options: PcapOptions = {},
): void {
  writeFileSync(path, encodePcap(packets, options))
}

/** The bytes of a pcap file. */
export function encodePcap(packets: readonly PcapPacket[], options: PcapOptions = {}): Uint8Array {
  const little = !(options.bigEndian ?? false)
  const inNs = options.resolution === 'ns'
  let size = 24
  for (const { bytes } of packets) size += 16 + bytes.length
  const file = new Uint8Array(size)
  const view = new DataView(file.buffer)
  view.setUint32(0, inNs ? 0xa1b23c4d : 0xa1b2c3d4, little)
  view.setUint16(4, 2, little)
  view.setUint16(6, 4, little)
  view.setUint32(16, options.snapBytes ?? 262_144, little)
  view.setUint32(20, options.linkType ?? 1, little)
  let at = 24
  for (const { bytes, timeNs, originalLength } of packets) {
    view.setUint32(at, Math.floor(timeNs / 1e9), little)
    view.setUint32(at + 4, Math.floor((timeNs % 1e9) / (inNs ? 1 : 1000)), little)
    view.setUint32(at + 8, bytes.length, little)
    view.setUint32(at + 12, originalLength ?? bytes.length, little)
    file.set(bytes, at + 16)
    at += 16 + bytes.length
  }
  return file
}
