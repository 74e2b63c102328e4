/** Captures made for tests of replays, and what the fixtures carry. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type TcpFrameOptions, tcpFrame } from '../../wire/build-frame.test.helper.ts'
import type { FlowReport, ReplayReport } from '../index.ts'
import { createCaptureLink } from '../link/capture/capture-link.ts'
import type { PcapPacket } from '../link/capture/pcap-writer.test.helper.ts'

const folder = join('src', 'stack', 'link', 'capture', 'fixtures')

/** The path of a fixture. */
export function fixture(file: string): string {
  return join(folder, file)
}

/** Streams of a fixture by the port that they come from or go to, as its README lists them. */
export interface FixtureStreams {
  readonly file: string
  readonly streams: readonly {
    readonly to?: number
    readonly from?: number
    readonly bytes: number
    readonly sha256: string
  }[]
  readonly frames: number
  /** Frames that no flow is made of. */
  readonly others: number
}

export const fixtures: readonly FixtureStreams[] = [
  {
    file: 'tcp-offload.pcap',
    streams: [
      {
        to: 5001,
        bytes: 40_000,
        sha256: '3b10a42f23d3e47f2812109d2d55b1e1ac2dd133f0cd2baffeba278ed8a19d64',
      },
      {
        from: 5001,
        bytes: 3000,
        sha256: 'd3e8e296641bcf03d5d8ce04e4369b2907ef3ceae0dae633e1ec659cdd3f6f12',
      },
    ],
    frames: 16,
    others: 0,
  },
  {
    file: 'tcp-ipv6.pcapng',
    streams: [
      {
        to: 5002,
        bytes: 36_000,
        sha256: '4aba2175934452c7cd653c00614a85b0100026dfe95fdbe1788f53f1a9afad1a',
      },
      {
        from: 5002,
        bytes: 2000,
        sha256: 'a533cdc2a48057e9d29112f22fe555cc0a613d6a7781781d5aa243bfd5787df4',
      },
    ],
    frames: 51,
    others: 0,
  },
  {
    file: 'tcp-sack.pcap',
    streams: [
      {
        to: 5003,
        bytes: 40_000,
        sha256: 'c5285ab391cc8c24dfc02f302d030e6ddd40b15ed42b9de6aea6f5f86a16237b',
      },
    ],
    frames: 58,
    others: 0,
  },
  {
    file: 'vlan-fragments.pcap',
    streams: [
      {
        to: 5004,
        bytes: 16_000,
        sha256: '0e76836573e84f2dbc8375eb38b8c4c7b3e5cbbf46bb4b0186f724e2dd0ad082',
      },
    ],
    frames: 44,
    others: 14,
  },
]

/** Result of a replay for one stream. `undefined` without the stream. */
export function flowOf(
  report: ReplayReport,
  ends: { readonly to?: number; readonly from?: number },
): FlowReport | undefined {
  return report.flows.find(
    ({ sourcePort, destinationPort }) => destinationPort === ends.to || sourcePort === ends.from,
  )
}

/** A TCP segment from 192.0.2.1:40000 to 192.0.2.2:5201, as a packet of a capture. */
export function segment(options: Partial<TcpFrameOptions>, keptBytes?: number): PcapPacket {
  const ends = { source: '192.0.2.1', destination: '192.0.2.2', destinationPort: 5201 }
  const frame = tcpFrame({ ...ends, ...options })
  return { bytes: frame.subarray(0, keptBytes), timeNs: 0, originalLength: frame.length }
}

/** Payload that tells where it is from. */
export function payloadOf(offset: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at++) payload[at] = ((offset + at) * 131) >>> 5
  return payload
}

/** All packets of a capture, each cut to `keptBytes`. */
export function packetsOf(path: string, keptBytes: number): PcapPacket[] {
  const link = createCaptureLink(path)
  const packets: PcapPacket[] = []
  for (let frame = link.receive(0); frame !== undefined; frame = link.receive(0)) {
    const end = frame.offset + Math.min(frame.length, keptBytes)
    const { originalLength } = frame
    packets.push({ bytes: frame.memory.bytes.slice(frame.offset, end), timeNs: 0, originalLength })
  }
  link.close()
  return packets
}

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): (name: string) => string {
  const made = mkdtempSync(join(tmpdir(), 'netmem-'))
  after(() => rmSync(made, { recursive: true }))
  return (name) => join(made, name)
}
