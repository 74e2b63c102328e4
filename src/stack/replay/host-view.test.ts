// What the host sees, as a capture file.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { openCapture } from '../link/capture/open-capture.ts'
import { FrameKind, FrameLayout, parseFrame } from '../wire/frame-layout.ts'
import { fixture, fixtures, temporaryFolder } from './captures.test.helper.ts'
import { replay } from './replay.ts'

const file = temporaryFolder()
const tshark = (args: readonly string[]) => spawnSync('tshark', args, { encoding: 'utf8' })
const skip =
  tshark(['--version']).error === undefined
    ? false
    : 'tshark is not installed: `apt-get install tshark`'

/** The packets that tshark takes for malformed, or of a wrong checksum. */
function findings(path: string): string {
  const checks = ['tcp.check_checksum', 'udp.check_checksum', 'ip.check_checksum']
  const options = checks.flatMap((check) => ['-o', `${check}:TRUE`])
  const bad = ['tcp', 'udp', 'ip'].map((protocol) => `${protocol}.checksum.status == "Bad"`)
  const wrong = `_ws.malformed || ${bad.join(' || ')}`
  const { status, stdout, stderr } = tshark(['-r', path, ...options, '-Y', wrong])
  assert.equal(status, 0, stderr)
  return stdout
}

const ways = [
  { memory: 'page', headerSplit: true },
  { memory: 'page', headerSplit: false },
  { memory: 'device', headerSplit: true },
] as const

for (const { file: name, frames, others } of fixtures) {
  for (const way of ways) {
    const title = `${name}, ${way.memory}, ${way.headerSplit ? 'split' : 'whole'}`

    test(`what the host sees: ${title}`, async () => {
      const out = file(`${name}-${way.memory}-${way.headerSplit}.pcapng`)
      const report = await replay(fixture(name), { ...way, queues: 4, out })
      const link = openCapture(out)
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
      assert.equal(count, way.memory === 'page' ? frames : frames - others)
      assert.equal(report.capture.frames, frames)
    })

    test(`tshark finds nothing wrong with it: ${title}`, { skip }, async () => {
      const out = file(`${name}-${way.memory}-${way.headerSplit}-tshark.pcapng`)
      await replay(fixture(name), { ...way, queues: 4, out })
      assert.equal(findings(out), '')
    })
  }
}

test('tshark would find a wrong checksum', { skip }, async () => {
  const out = file('corrupted.pcapng')
  await replay(fixture('tcp-sack.pcap'), { out, faults: { seed: 1, corruption: 1 } })
  assert.notEqual(findings(out), '')
})
