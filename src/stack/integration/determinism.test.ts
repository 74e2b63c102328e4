// A stepped device with faults on its link: the same seed is the same run, to the last counter.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { SYN } from '../../wire/tcp.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import type { FaultOptions } from '../link/fate.ts'
import { Path, pattern, tcp } from './path.test.helper.ts'

const PART = 700
const COUNT = 60
const STEP_NS = 10_000

/** Two flows, each with every segment three times, so that hardly any loss is for good. */
function frames(): Uint8Array[] {
  const made: Uint8Array[] = []
  for (const sourcePort of [40_000, 40_001]) {
    made.push(tcp(0, new Uint8Array(0), { sourcePort, flags: SYN }))
  }
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < COUNT; at++) {
      for (const sourcePort of [40_000, 40_001]) {
        made.push(tcp(1 + at * PART, pattern(PART, sourcePort + at), { sourcePort }))
      }
    }
  }
  return made
}

interface Run {
  /** Time, queue, bytes and hash of each packet. */
  readonly sequence: readonly string[]
  readonly counters: unknown
  /** SHA-256 of what each flow got, made on the device. */
  readonly streams: readonly string[]
}

async function run(faults: FaultOptions, bound: readonly number[], inline: boolean): Promise<Run> {
  const sequence: string[] = []
  let nowNs = 0
  const path = await Path.open({
    inline,
    bound,
    nic: { queues: 2, link: { kind: 'injected', faults } },
    queues: { ringSize: 64 },
    pages: 128,
    seen: (skb: AnySkb) => {
      const bytes = skb.headLength + skb.dataLength
      sequence.push(`${nowNs} ${skb.queue} ${bytes} ${skb.hash} ${skb.checksumVerified}`)
    },
  })
  // Flows of odd ports to device memory: the path keeps RSS off bound queues.
  if (bound.length === 1) {
    await path.nic.addRule({
      protocol: 'tcp',
      destinationAddress: Uint8Array.of(10, 0, 0, 2),
      destinationPort: 5001,
      source: { address: Uint8Array.of(10, 0, 0, 1), port: 40_001 },
      queue: 1,
    })
  }
  const all = frames()
  for (const [at, frame] of all.entries()) await path.nic.inject([frame], { atNs: at * 6000 })
  const hashes = new Map<number, Awaited<ReturnType<typeof path.device.openHash>>>()
  for (; nowNs < all.length * 6000 + 5e6; nowNs += STEP_NS) {
    if ((await path.step(nowNs)) === 0) continue
    for (const { key, receiver } of path.flows) {
      const known = hashes.get(key.sourcePort)
      const hash = known ?? (await path.device.openHash())
      hashes.set(key.sourcePort, hash)
      const frags = []
      for (let frag = receiver.take(); frag; frag = receiver.take()) frags.push(frag)
      await path.feed(hash, frags)
    }
  }
  const streams: string[] = []
  for (const port of [...hashes.keys()].sort()) {
    streams.push(`${port} ${await hashes.get(port)?.digest()}`)
  }
  const counters = [
    path.nic.stats(),
    [0, 1].map((queue) => path.driver.stats(queue)),
    path.table.stats(),
    path.flows.map(({ key, reassembler, socket }) => [
      key.toString(),
      reassembler.stats(),
      socket.stats(),
    ]),
  ]
  await path.close()
  return { sequence, counters, streams }
}

const FAULTS = {
  loss: 0.2,
  duplication: 0.1,
  reordering: 0.2,
  corruption: 0.02,
  delayNs: 20_000,
  jitterNs: 50_000,
  rateBitsPerS: 1e9,
}

for (const [name, bound] of [
  ['pages', []],
  ['pages and device memory', [1]],
] as const) {
  test(`the same seed is the same run, another seed another: ${name}`, async () => {
    const inWorker = await run({ ...FAULTS, seed: 7 }, bound, false)
    const here = await run({ ...FAULTS, seed: 7 }, bound, true)
    assert.ok(inWorker.sequence.length > 100)
    assert.deepEqual(here, inWorker)
    const other = await run({ ...FAULTS, seed: 8 }, bound, true)
    assert.notDeepEqual(other.sequence, inWorker.sequence)
    assert.notDeepEqual(other.counters, inWorker.counters)
  })
}

test('faults that corrupt nothing leave the streams as they were sent', async () => {
  const streams = [40_000, 40_001].map((sourcePort) => {
    const hash = createHash('sha256')
    for (let at = 0; at < COUNT; at++) hash.update(pattern(PART, sourcePort + at))
    return `${sourcePort} ${hash.digest('hex')}`
  })
  for (const seed of [1, 2, 3, 4]) {
    // SYNs are not lost: without them a stream begins wherever it is first seen.
    const faults = { duplication: 0.3, reordering: 0.3, jitterNs: 20_000, delayNs: 1000, seed }
    const { streams: got } = await run(faults, [1], true)
    assert.deepEqual(got, streams, `seed ${seed}`)
  }
})
