// Replays of a small capture that is written here, byte by byte.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { replay } from 'netmem/stack'
import { freshPath, pattern, rejected } from './harness.mjs'
import { CHECKSUM_DROPS } from './names.mjs'

const SYN = 2
const FIN_ACK = 0x11
const ACK = 0x10

/** An Ethernet frame of one TCP segment over IPv4, with its checksums. */
function segment(seq, flags, payload = new Uint8Array(0)) {
  const frame = Buffer.alloc(54 + payload.length)
  frame.write('0200000000020200000000010800', 'hex')
  frame.writeUInt8(0x45, 14)
  frame.writeUInt16BE(40 + payload.length, 16)
  frame.writeUInt8(64, 22)
  frame.writeUInt8(6, 23)
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], 26)
  frame.writeUInt16BE(checksum(frame.subarray(14, 34), 0), 24)
  frame.writeUInt16BE(40_000, 34)
  frame.writeUInt16BE(5001, 36)
  frame.writeUInt32BE(seq, 38)
  frame.writeUInt8(0x50, 46)
  frame.writeUInt8(flags, 47)
  frame.writeUInt16BE(0xffff, 48)
  frame.set(payload, 54)
  const pseudo = 2 * (0x0a00 + 2) - 1 + 6 + 20 + payload.length
  frame.writeUInt16BE(checksum(frame.subarray(34), pseudo), 50)
  return frame
}

function checksum(bytes, initial) {
  let sum = initial
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function capture(frames) {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(1, 20)
  const records = frames.flatMap((frame, at) => {
    const record = Buffer.alloc(16)
    record.writeUInt32LE(at, 0)
    record.writeUInt32LE(frame.length, 8)
    record.writeUInt32LE(frame.length, 12)
    return [record, frame]
  })
  const path = freshPath()
  writeFileSync(path, Buffer.concat([header, ...records]))
  return path
}

const BYTES = 50_000
const MSS = 1000
const stream = pattern(BYTES)
const sha256 = createHash('sha256').update(stream).digest('hex')
const data = Array.from({ length: BYTES / MSS }, (_, at) =>
  segment(1001 + at * MSS, ACK, stream.subarray(at * MSS, (at + 1) * MSS)),
)
const frames = [segment(1000, SYN), ...data, segment(1001 + BYTES, FIN_ACK)]
const shuffled = frames.map((_, at) => frames[(at * 11) % frames.length])

const ways = [
  ['in pages', { memory: 'page' }],
  ['in pages without header split', { memory: 'page', headerSplit: false }],
  ['in device memory', { memory: 'device' }],
  ['over four queues', { memory: 'device', queues: 4 }],
]
for (const [name, options] of ways) {
  test(`a capture of one flow, ${name}`, async () => {
    const report = await replay(capture(frames), options)
    assert.equal(report.flows.length, 1)
    const [{ source, sourcePort, destination, destinationPort, ...flow }] = report.flows
    assert.deepEqual(
      [source, sourcePort, destination, destinationPort],
      ['10.0.0.1', 40_000, '10.0.0.2', 5001],
    )
    assert.deepEqual([flow.bytes, flow.sha256, flow.state], [BYTES, sha256, 'finished'])
    assert.deepEqual([flow.gaps, flow.duplicateBytes], [0, 0])
    const { pages, netIovs } = flow.landed
    assert.equal(options.memory === 'page' ? netIovs : pages, 0)
    assert.ok(pages + netIovs >= BYTES)
    assert.deepEqual([report.capture.frames, report.complete], [frames.length, true])
    assert.equal(report.capture.truncated, false)
    assert.equal(report.nic.rx_csum_bad, 0)
    assert.ok(Object.values(report.dropped).every((packets) => packets === 0))
  })
}

for (const memory of ['page', 'device']) {
  test(`order, doubles and a damaged copy change nothing, ${memory}`, async () => {
    const damaged = Buffer.from(frames[5])
    damaged[100] ^= 1
    const report = await replay(capture([...shuffled, damaged, frames[7]]), { memory })
    const [flow] = report.flows
    assert.deepEqual([flow.bytes, flow.sha256], [BYTES, sha256])
    assert.ok(flow.outOfOrder > 0)
    assert.equal(report.dropped[CHECKSUM_DROPS], 1)
  })

  test(`what is missing is a gap, ${memory}`, async () => {
    const report = await replay(capture(frames.filter((_, at) => at !== 9)), { memory })
    const [flow] = report.flows
    assert.deepEqual([flow.gaps, flow.gapBytes, flow.bytes], [1, MSS, BYTES - MSS])
  })
}

test('faults on the way are repeatable', async () => {
  const path = capture(frames)
  const faults = { seed: 5, duplication: 0.3, reordering: 0.3 }
  const [one, two] = [await replay(path, { faults }), await replay(path, { faults })]
  assert.equal(one.flows[0].sha256, sha256)
  assert.deepEqual(one.flows, two.flows)
})

test('a file that ends within a record', async () => {
  const path = capture(frames)
  writeFileSync(path, readFileSync(path).subarray(0, -10))
  const report = await replay(path)
  assert.equal(report.capture.truncated, true)
  assert.equal(report.flows[0].sha256, sha256)
})

test('files that are no capture', async () => {
  const path = freshPath()
  writeFileSync(path, 'no capture at all, but text')
  assert.equal(await rejected(replay(path)), 'NETMEM_CAPTURE_INVALID')
  assert.equal(await rejected(replay('/')), 'NETMEM_CAPTURE_INVALID')
  const split = { memory: 'device', headerSplit: false }
  assert.equal(
    await rejected(async () => replay(capture(frames), split)),
    'NETMEM_BIND_HEADER_SPLIT',
  )
  assert.equal(await rejected(async () => replay(path, { queues: 0 })), 'NETMEM_OUT_OF_RANGE')
})
