// Another dissector reads the same in the captured frames as the codecs do, and in frames that they wrote.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { formatAddress } from '../../../wire/address.ts'
import { buildTcpFrame, buildUdpFrame } from '../../../wire/build-frame.test.helper.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { tcpFrames, udpFrames } from '../../../wire/frames.test.helper.ts'
import { IpHeader } from '../../../wire/ip.ts'
import { readIpv4Details } from '../../../wire/ipv4.ts'
import { readIpv6Details } from '../../../wire/ipv6.ts'
import { TCP_HEADER_BYTES } from '../../../wire/tcp.ts'
import { parseTcpOptions, TcpOptions } from '../../../wire/tcp-options.ts'
import { createCaptureLink } from './capture-link.ts'
import { writePcap } from './pcap-writer.test.helper.ts'

const TSHARK = 'tshark'
const skip =
  spawnSync(TSHARK, ['--version']).error === undefined
    ? false
    : `${TSHARK} is not installed: \`apt-get install ${TSHARK}\``

const fixtures = join('src', 'stack', 'link', 'capture', 'fixtures')
const folder = mkdtempSync(join(tmpdir(), 'netmem-'))
after(() => rmSync(folder, { recursive: true }))

/** Fields that are compared, by their names in tshark, for both IP versions and protocols. */
const FIELDS = {
  bytes: ['frame.len'],
  vlan: ['vlan.id'],
  source: ['ip.src', 'ipv6.src'],
  destination: ['ip.dst', 'ipv6.dst'],
  timeToLive: ['ip.ttl', 'ipv6.hlim'],
  trafficClass: ['ip.dsfield', 'ipv6.tclass'],
  flowLabel: ['ipv6.flow'],
  identification: ['ip.id'],
  sourcePort: ['tcp.srcport', 'udp.srcport'],
  destinationPort: ['tcp.dstport', 'udp.dstport'],
  payloadBytes: ['tcp.len', 'udp.length'],
  seq: ['tcp.seq_raw'],
  ack: ['tcp.ack_raw'],
  flags: ['tcp.flags'],
  window: ['tcp.window_size_value'],
  urgentPointer: ['tcp.urgent_pointer'],
  mssBytes: ['tcp.options.mss_val'],
  windowScale: ['tcp.options.wscale.shift'],
  timestamp: ['tcp.options.timestamp.tsval'],
  timestampEcho: ['tcp.options.timestamp.tsecr'],
  sackPermitted: ['tcp.options.sack_perm'],
  sackLeft: ['tcp.options.sack_le'],
  sackRight: ['tcp.options.sack_re'],
} as const
type Fields = Record<keyof typeof FIELDS, string>

const names: readonly string[] = Object.values(FIELDS).flat()
const NONE: Fields = fieldsOf(() => '')

function fieldsOf(read: (fields: readonly string[]) => string): Fields {
  const entries = Object.entries(FIELDS).map(([name, fields]) => [name, read(fields)])
  return Object.fromEntries(entries)
}

/** Returns tshark's fields of the TCP and UDP packets of a file, with the state of their checksums. */
function dissect(path: string): { fields: Fields; checksums: string[] }[] {
  const preferences = ['tcp.check_checksum:TRUE', 'udp.check_checksum:TRUE']
  preferences.push('tcp.relative_sequence_numbers:FALSE', 'ip.defragment:FALSE')
  const checksums = ['tcp.checksum.status', 'udp.checksum.status']
  const others = 'icmp or icmpv6 or ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr'
  const whole = `(tcp or udp) and not (${others})`
  const args = ['-r', path, '-Y', whole, '-T', 'fields', '-E', 'separator=,', '-E']
  args.push('aggregator=;', ...preferences.flatMap((preference) => ['-o', preference]))
  args.push(...[...names, ...checksums].flatMap((name) => ['-e', name]))
  const output = execFileSync(TSHARK, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const values = line.split(',')
      const fields = fieldsOf((of) => {
        const value = of.map((name) => values[names.indexOf(name)] ?? '').find((one) => one !== '')
        if (value === undefined) return ''
        if (of[0]?.startsWith('tcp.options.sack_')) return value
        // The first of several: what a payload seems to have in it is none of ours.
        const first = value.split(';')[0] ?? ''
        return first.startsWith('0x') ? `${Number(first)}` : first
      })
      return { fields, checksums: values.slice(names.length).filter((status) => status !== '') }
    })
}

const layout = new FrameLayout()
const header = new IpHeader()
const options = new TcpOptions()

/** Returns the codecs' fields of a frame, or `undefined` if it is neither TCP nor UDP. */
function read(bytes: Uint8Array, at: number, length: number): Fields | undefined {
  parseFrame(bytes, at, length, layout)
  if (layout.kind < FrameKind.tcp) return undefined
  const { ipVersion, addressBytes } = layout
  if (ipVersion === 4) readIpv4Details(bytes, at + layout.ipOffset, header)
  else readIpv6Details(bytes, at + layout.ipOffset, header)
  const isTcp = layout.kind === FrameKind.tcp
  const common = {
    ...NONE,
    bytes: `${length}`,
    vlan: layout.vlan < 0 ? '' : `${layout.vlan}`,
    source: formatAddress(bytes, at + layout.sourceOffset, addressBytes),
    destination: formatAddress(bytes, at + layout.destinationOffset, addressBytes),
    timeToLive: `${header.timeToLive}`,
    trafficClass: `${header.trafficClass}`,
    flowLabel: ipVersion === 6 ? `${header.flowLabel}` : '',
    identification: ipVersion === 4 ? `${header.identification}` : '',
    sourcePort: `${layout.sourcePort}`,
    destinationPort: `${layout.destinationPort}`,
    payloadBytes: `${isTcp ? layout.payloadLength : layout.payloadLength + 8}`,
  }
  if (!isTcp) return common
  const optionsAt = at + layout.l4Offset + TCP_HEADER_BYTES
  assert.ok(parseTcpOptions(bytes, optionsAt, at + layout.headerLength, options))
  const edges = Array.from(
    options.sackEdges.subarray(0, 2 * options.sackBlocks),
    (edge) => edge >>> 0,
  )
  return {
    ...common,
    seq: `${layout.seq >>> 0}`,
    ack: `${layout.ack >>> 0}`,
    flags: `${layout.tcpFlags}`,
    window: `${layout.window}`,
    urgentPointer: `${layout.urgentPointer}`,
    mssBytes: options.mssBytes > 0 ? `${options.mssBytes}` : '',
    windowScale: options.windowScale < 0 ? '' : `${options.windowScale}`,
    timestamp: options.hasTimestamps ? `${options.timestamp >>> 0}` : '',
    timestampEcho: options.hasTimestamps ? `${options.timestampEcho >>> 0}` : '',
    sackPermitted: options.sackPermitted ? '0402' : '',
    sackLeft: edges.filter((_, at) => at % 2 === 0).join(';'),
    sackRight: edges.filter((_, at) => at % 2 === 1).join(';'),
  }
}

for (const file of readdirSync(fixtures).filter((name) => /\.pcap(ng)?$/.test(name))) {
  test(`${file}: tshark reads the same fields`, { skip }, () => {
    const path = join(fixtures, file)
    const ours: Fields[] = []
    const link = createCaptureLink(path)
    for (let frame = link.receive(0); frame !== undefined; frame = link.receive(0)) {
      const fields = read(frame.memory.bytes, frame.offset, frame.length)
      if (fields !== undefined) ours.push(fields)
    }
    link.close()
    assert.ok(ours.length > 10)
    assert.deepEqual(
      dissect(path).map(({ fields }) => fields),
      ours,
    )
  })
}

test('tshark reads what was written, and finds every checksum right', { skip }, () => {
  const memory = createFrameMemory(4096)
  const plain = { vlans: [{ id: 7 }], extensions: [] }
  const frames = fc.oneof(
    tcpFrames.map((frame) => () => buildTcpFrame({ ...frame, ...plain }, memory, 0)),
    udpFrames.map((frame) => () => buildUdpFrame({ ...frame, ...plain }, memory, 0)),
  )
  const ours: Fields[] = []
  const packets = fc.sample(frames, { numRuns: 500, seed: 1 }).map((build) => {
    const length = build()
    ours.push(read(memory.bytes, 0, length) ?? assert.fail())
    return { bytes: memory.bytes.slice(0, length), timeNs: 0, originalLength: length }
  })
  const path = join(folder, 'written.pcap')
  writePcap(path, packets)
  const theirs = dissect(path)
  assert.deepEqual(
    theirs.map(({ fields }) => fields),
    ours,
  )
  for (const { checksums } of theirs) assert.equal(checksums[0], '1')
})
