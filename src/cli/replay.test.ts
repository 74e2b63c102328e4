import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isFields } from '../errors.ts'
import { inside, jsonOf, run, runInTurn, temporaryFolder } from './cli.test.helper.ts'

const fixture = (name: string): string => join('src', 'stack', 'link', 'capture', 'fixtures', name)

const SHA256 = 'c5285ab391cc8c24dfc02f302d030e6ddd40b15ed42b9de6aea6f5f86a16237b'

/** Line about a capture that was cut off. */
const CUT = /^the capture ends in the middle of a record/m

describe('netmem replay', () => {
  const file = temporaryFolder()

  it('shows every flow, in a table', async () => {
    const { code, out, err } = await run(['replay', fixture('tcp-sack.pcap')])
    assert.deepEqual([code, err], [0, ''])
    const lines = out.toString().split('\n')
    assert.match(lines[0] ?? '', /^flow +bytes +packets +header pages +pages +net_iovs +missing/)
    assert.match(
      lines[1] ?? '',
      /^10\.1\.0\.1:\d+ > 10\.2\.0\.2:5003 +40000 +\d+ +\d+ +4\d{4} +0 +0 +0 +finished +c5285ab391cc8c24$/,
    )
    assert.match(lines[3] ?? '', /^58 frames, .*; flows: 2, 40000 bytes of streams$/)
    assert.match(lines[4] ?? '', /^checksums: 58 right, 0 wrong, 0 not looked at$/)
    assert.doesNotMatch(out.toString(), CUT)
  })

  it('tells what was dropped and why', async () => {
    const ends = await Promise.all(
      ['page', 'device'].map((memory) =>
        run(['replay', fixture('vlan-fragments.pcap'), '--memory', memory]),
      ),
    )
    assert.match(ends[0]?.out.toString() ?? '', /^without a flow: 14 neither TCP nor UDP/m)
    assert.match(ends[1]?.out.toString() ?? '', /^without a flow: 14 not split, on a queue of dev/m)
  })

  it('leaves out what is damaged, and says so', async () => {
    const capture = readFileSync(fixture('tcp-sack.pcap'))
    // The last byte of the fifth frame, which has data.
    let at = 24
    for (let frame = 0; frame < 5; frame++) at += 16 + capture.readUInt32LE(at + 8)
    capture[at - 1] = (capture[at - 1] ?? 0) ^ 1
    writeFileSync(file('damaged.pcap'), capture)
    const verified = await run(['replay', file('damaged.pcap')])
    assert.match(verified.out.toString(), /^without a flow: 1 with a wrong checksum$/m)
    const ignored = await run(['replay', file('damaged.pcap'), '--checksums', 'ignore'])
    assert.doesNotMatch(ignored.out.toString(), /wrong checksum/)
  })

  it('says that a folder is no capture', async () => {
    const { code, err } = await run(['replay', 'src'])
    assert.equal(code, 1)
    assert.match(err, /^netmem: NETMEM_CAPTURE_INVALID: src is a folder, not a capture\. Name a p/)
  })

  it('says it in JSON, of either memory', async () => {
    for (const memory of ['page', 'device']) {
      const options = ['--memory', memory, '--queues', '4', '--json']
      const ended = await run(['replay', fixture('tcp-sack.pcap'), ...options])
      const report = jsonOf(ended)
      assert.deepEqual([ended.code, report['exitCode'], ended.err], [0, 0, ''])
      assert.deepEqual([report['memory'], report['queues']], [memory, 4])
      const { flows } = report
      const flow: unknown = Array.isArray(flows)
        ? flows.find((one) => isFields(one) && one['destinationPort'] === 5003)
        : undefined
      assert.ok(isFields(flow))
      assert.deepEqual([flow['bytes'], flow['sha256']], [40_000, SHA256])
      const landed = inside(flow, 'landed')
      assert.equal(Number(landed['netIovs']) >= 40_000, memory === 'device')
      const { frames, truncated } = inside(report, 'capture')
      assert.deepEqual([frames, truncated], [58, false])
    }
  })

  it('splits no headers where it should not', async () => {
    const ended = await run([
      'replay',
      fixture('tcp-ipv6.pcapng'),
      '--header-split',
      'off',
      '--json',
    ])
    const landed = inside(inside(jsonOf(ended), 'totals'), 'landed')
    assert.deepEqual([landed['headerPages'], landed['netIovs']], [0, 0])
  })

  it('writes what the host sees', async () => {
    const out = file('seen.pcapng')
    const first = await run(['replay', fixture('tcp-offload.pcap'), '--out', out])
    assert.equal(first.code, 0, first.err)
    // The output is a capture of the same streams.
    const second = await run(['replay', out])
    const hashes = (text: string): string[] => text.match(/[0-9a-f]{16}$/gm) ?? []
    assert.equal(hashes(first.out.toString()).length, 2)
    assert.deepEqual(hashes(second.out.toString()), hashes(first.out.toString()))
  })

  it('says that a capture was cut off', async () => {
    const cut = file('cut')
    writeFileSync(cut, readFileSync(fixture('tcp-sack.pcap')).subarray(0, 20_000))
    const text = await run(['replay', cut])
    assert.equal(text.code, 0)
    assert.match(text.out.toString(), CUT)
    assert.equal(inside(jsonOf(await run(['replay', cut, '--json'])), 'capture')['truncated'], true)
  })

  it('fails where there is no capture', async () => {
    const text = file('text')
    writeFileSync(text, 'no capture')
    const bytes = readFileSync(fixture('tcp-sack.pcap'))
    const broken = file('broken')
    writeFileSync(broken, Buffer.concat([bytes, Buffer.alloc(64, 0xff)]))
    const wrong = [
      [text, 'NETMEM_CAPTURE_INVALID'],
      [broken, 'NETMEM_CAPTURE_INVALID'],
      [file('missing'), 'ENOENT'],
    ] as const
    for (const [path, errorCode] of wrong) {
      const ended = await run(['replay', path, '--json'])
      assert.equal(ended.code, 1)
      assert.match(ended.err, new RegExp(`^netmem: ${errorCode}: [^\\n]+\\n$`))
      assert.equal(inside(jsonOf(ended), 'error')['code'], errorCode)
    }
  })

  it('says what is wrong with its arguments', async () => {
    const wrong = [
      [[], /capture/],
      [['x', '--queues', '65'], /1 to 64/],
      [['x', '--memory', 'host'], /page, device/],
      [['x', '--header-split', 'maybe'], /on, off/],
      [['x', '--memory', 'device', '--header-split', 'off'], /headers/],
    ] as const
    const ends = await runInTurn(wrong.map(([args]) => ['replay', ...args]))
    for (const [i, { code, err }] of ends.entries()) {
      assert.equal(code, 2, err)
      assert.match(err, /^netmem: USAGE: .+\n$/)
      assert.match(err, wrong[i]?.[1] ?? /^$/)
    }
  })
})
