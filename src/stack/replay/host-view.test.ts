// Capture file of the host's view.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { FrameKind, FrameLayout, parseFrame } from '../../wire/frame-layout.ts'
import { createCaptureLink } from '../link/capture/capture-link.ts'
import { fixture, fixtures, temporaryFolder } from './captures.test.helper.ts'
import { replay } from './replay.ts'

const TSHARK = 'tshark'
const skip =
  spawnSync(TSHARK, ['--version']).error === undefined
    ? false
    : `${TSHARK} is not installed: \`apt-get install ${TSHARK}\``

const file = temporaryFolder()

const ways = [
  { memory: 'page', headerSplit: true },
  { memory: 'page', headerSplit: false },
  { memory: 'device', headerSplit: true },
] as const

/** Captures written so far, and the packets that they should have in all. */
const written: string[] = []
let expected = 0

for (const { file: name, frames, others } of fixtures) {
  for (const way of ways) {
    test(`what the host sees: ${name}, ${JSON.stringify(way)}`, async () => {
      const out = file(`${name}-${way.memory}-${way.headerSplit}.pcapng`)
      const report = await replay(fixture(name), { ...way, queues: 4, out })
      const link = createCaptureLink(out)
      const layout = new FrameLayout()
      let count = 0
      for (let frame = link.receive(0); frame !== undefined; frame = link.receive(0)) {
        count++
        const { memory, offset, length, originalLength } = frame
        parseFrame(memory.bytes, offset, length, layout, originalLength)
        assert.notEqual(layout.kind, FrameKind.malformed)
        if (way.memory === 'page') {
          // Whole, and its partial checksum completed.
          assert.deepEqual([length, frame.checksum], [originalLength, 'complete'])
        } else {
          assert.equal(length, layout.headerLength)
          assert.equal(originalLength, layout.headerLength + layout.payloadLength)
        }
      }
      link.close()
      // Frames that were not split are missing if their memory cannot be read.
      assert.equal(count, way.memory === 'page' ? frames : frames - others)
      assert.equal(report.capture.frames, frames)
      written.push(out)
      expected += count
    })
  }
}

const FIELDS = ['_ws.malformed', 'ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status']
const CHECKS = ['ip.check_checksum', 'tcp.check_checksum', 'udp.check_checksum']

/** Returns for each packet the statuses of its checksums, 0 for a wrong one, or `malformed`. */
function dissect(path: string): string[] {
  const options = CHECKS.flatMap((check) => ['-o', `${check}:TRUE`])
  const fields = FIELDS.flatMap((field) => ['-e', field])
  const args = ['-r', path, ...options, '-T', 'fields', '-E', 'separator=,', ...fields]
  const { status, stdout, stderr } = spawnSync(TSHARK, args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout.trimEnd().split('\n')
}

const isWrong = (packet: string): boolean => {
  const [malformed, ...statuses] = packet.split(',')
  return malformed !== '' || statuses.includes('0')
}

test('tshark finds nothing wrong with any of it', { skip }, () => {
  // A capture file may have several sections.
  const all = file('all.pcapng')
  writeFileSync(all, Buffer.concat(written.map((path) => readFileSync(path))))
  const packets = dissect(all)
  assert.deepEqual([written.length, packets.length], [12, expected])
  assert.deepEqual(packets.filter(isWrong), [])
  // The dissector has looked at the checksums.
  assert.ok(packets.filter((packet) => packet.startsWith(',1,1,')).length > 100)
})

test('tshark would find wrong checksums', { skip }, async () => {
  const out = file('corrupted.pcapng')
  await replay(fixture('tcp-sack.pcap'), { out, faults: { seed: 1, corruption: 1 } })
  assert.ok(dissect(out).some(isWrong))
})
