// The whole path from link to application, in a real worker: bytes that go in come out, and none stay.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import type { Frag } from '../../pool/frag.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { sha256 } from '../../testing/sha256.test.helper.ts'
import { buildIpFrame } from '../../wire/build-frame.test.helper.ts'
import { DEVMEM_CMSG_SPACE, parseControl } from '../../wire/control-messages.ts'
import { createFrameMemory } from '../../wire/frame-memory.ts'
import { MSG_SOCK_DEVMEM } from '../host/socket/messages.ts'
import { streamPattern } from '../link/generator-frames.ts'
import { arp, Path, type PathOptions, pattern, tcp } from './path.test.helper.ts'

/** Returns the payload of a generator's flow. */
function streamOf(
  flow: number,
  mssBytes: number,
  framesPerFlow: number,
  bytes: number,
): Uint8Array {
  const period = streamPattern(1, flow, mssBytes * framesPerFlow)
  return Uint8Array.from({ length: bytes }, (_, at) => period[at % period.length] ?? 0)
}

const MSS = 1448
const FRAMES = 8
const BYTES = 100_000
const generator = {
  kind: 'generator',
  flows: 3,
  mssBytes: MSS,
  totalBytes: BYTES,
  framesPerFlow: FRAMES,
  handshake: true,
} as const

const kinds: readonly [string, Pick<PathOptions, 'driver' | 'bound'>][] = [
  ['page driver', { driver: 'page' }],
  ['netmem driver, pages', {}],
  ['netmem driver, device memory', { bound: [0, 1] }],
]

for (const [name, options] of kinds) {
  test(`generated flows, stepped: ${name}`, async () => {
    const path = await Path.open({ ...options, nic: { link: generator, queues: 2 } })
    const hashes = await Promise.all([0, 1, 2].map(() => path.device.openHash()))
    // Frames of one step: no more than any queue has buffers for.
    while ((await path.step(1, 16)) > 0) await feedAll(path, hashes)
    assert.equal(path.flows.length, 3)
    await finished(path, hashes)
    const { device } = path.nic.stats()
    assert.equal(device.rx_hw_drops, 0)
    assert.equal(device.rx_csum_bad, 0)
    assert.equal(device.rx_packets, path.packets)
    await path.close()
  })

  test(`generated flows, running by itself: ${name}`, async () => {
    const nic = { link: generator, queues: 2, settings: { pause: true } }
    const path = await Path.open({ ...options, device: {}, nic })
    path.driver.run()
    const hashes = await Promise.all([0, 1, 2].map(() => path.device.openHash()))
    while (path.flows.length < 3 || path.flows.some(({ socket }) => !ended(socket))) {
      await feedAll(path, hashes)
      await immediate()
    }
    await finished(path, hashes)
    assert.equal(path.nic.stats().device.rx_hw_drops, 0)
    await path.close()
  })
}

function ended(socket: { readonly readable: boolean; stats(): { queued_bytes: number } }): boolean {
  return socket.readable && socket.stats().queued_bytes === 0
}

type Hashes = readonly Awaited<ReturnType<Path['device']['openHash']>>[]

/** Flow by its port, since flows of two queues begin in any order. */
async function feedAll(path: Path, hashes: Hashes): Promise<void> {
  for (const { key, receiver } of path.flows) {
    const frags: Frag[] = []
    for (let frag = receiver.take(); frag !== undefined; frag = receiver.take()) frags.push(frag)
    await path.feed(some(hashes[key.sourcePort - 40_000]), frags)
  }
}

async function finished(path: Path, hashes: Hashes): Promise<void> {
  await feedAll(path, hashes)
  for (const { key, reassembler, socket } of path.flows) {
    assert.equal(reassembler.state, 'finished')
    const { host_bytes, device_bytes, tokens } = socket.stats()
    assert.equal(host_bytes + device_bytes, BYTES)
    assert.equal(device_bytes, path.binding === undefined ? 0 : BYTES)
    assert.equal(tokens, 0)
    const flow = key.sourcePort - 40_000
    const expected = sha256(streamOf(flow, MSS, FRAMES, BYTES))
    assert.equal(await some(hashes[flow]).digest(), expected)
  }
}

test('injected frames as messages: bytes for pages, control messages and tokens for device memory', async () => {
  for (const bound of [[], [0]]) {
    const path = await Path.open({ bound, nic: { link: { kind: 'injected' } } })
    const stream = pattern(20_000, 3)
    const frames: Uint8Array[] = []
    for (let at = 0; at < stream.length; at += 1000) {
      frames.push(tcp(7 + at, stream.subarray(at, at + 1000)))
    }
    // Two change places and one comes twice.
    frames.splice(4, 2, some(frames[5]), some(frames[4]), some(frames[4]))
    await path.through(...frames)
    const { socket } = path.flow
    const got: Uint8Array[] = []
    const tokens: number[] = []
    const iov = [new Uint8Array(700), new Uint8Array(2000)]
    const control = new Uint8Array(4 * DEVMEM_CMSG_SPACE)
    while (socket.stats().queued_bytes > 0) {
      const { bytes, controlBytes } = socket.recvmsg({ iov, control, flags: MSG_SOCK_DEVMEM })
      if (bound.length === 0) {
        assert.equal(controlBytes, 0)
        got.push(Buffer.concat(iov).subarray(0, bytes))
        continue
      }
      let told = 0
      for (const message of parseControl(control, controlBytes)) {
        assert.ok(message.kind === 'dmabuf')
        assert.equal(message.dmabufId, path.binding?.id)
        told += message.fragSize
        tokens.push(message.fragToken)
        got.push(await path.device.read(path.dmabuf, message.fragOffset, message.fragSize))
      }
      assert.equal(told, bytes)
    }
    assert.equal(Buffer.compare(Buffer.concat(got), stream), 0)
    assert.equal(path.flow.reassembler.stats().duplicate_bytes, 1000)
    assert.equal(socket.stats().tokens, tokens.length)
    if (bound.length > 0) {
      const ranges = tokens.map((start) => ({ start, count: 1 }))
      assert.equal(socket.dontneed(ranges), tokens.length)
    }
    assert.equal(socket.stats().tokens, 0)
    await path.close()
  }
})

const memory = createFrameMemory(4096)

function fragment(): Uint8Array {
  const ends = { source: '10.0.0.1', destination: '10.0.0.2' }
  const payload = pattern(800, 1)
  const more = { offset: 0, more: true }
  const length = buildIpFrame({ ...ends, protocol: 6, payload, fragment: more }, memory, 0)
  return memory.bytes.slice(0, length)
}

test('what is not split off is dropped on a bound queue and counted, and readable on another', async () => {
  for (const bound of [[], [0]]) {
    const queues = { headerBytes: 64 }
    const path = await Path.open({ bound, nic: { link: { kind: 'injected' } }, queues })
    const stream = pattern(500, 1)
    await path.through(tcp(100, stream, { timestamps: { value: 1, echo: 0 } }))
    await path.through(arp(), fragment(), tcp(100, stream))
    const { rx_hsplit_unsplit, rx_hsplit_packets, rx_packets } = path.nic.stats().device
    assert.deepEqual([rx_hsplit_unsplit, rx_hsplit_packets, rx_packets], [3, 1, 4])
    const stats = some(path.driver.stats(0))
    assert.equal(stats.rx_dropped_unsplit, bound.length === 0 ? 0 : 3)
    assert.equal(stats.rx_packets, bound.length === 0 ? 4 : 1)
    assert.equal(path.table.stats().other_packets, bound.length === 0 ? 2 : 0)
    const frag = path.flow.receiver.take()
    assert.equal(frag?.kind, bound.length === 0 ? 'page' : 'net_iov')
    const hash = await path.device.openHash()
    const rest: Frag[] = frag === undefined ? [] : [frag]
    for (let more = path.flow.receiver.take(); more; more = path.flow.receiver.take()) {
      rest.push(more)
    }
    await path.feed(hash, rest)
    assert.equal(await hash.digest(), sha256(stream))
    await path.close()
  }
})
