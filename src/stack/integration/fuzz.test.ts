// Random and mutated frames through the whole path: nothing crashes, nothing stays out, and what
// went in is accounted for at each stage.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../random.ts'
import { DEVMEM_CMSG_SPACE, parseControl } from '../../wire/control-messages.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { MSG_SOCK_DEVMEM } from '../host/socket/messages.ts'
import { arp, Path, type PathOptions, pattern, tcp } from './path.test.helper.ts'

const FRAMES = 2000
const BATCH = 25

/** A frame that is right, wrong in a few places, cut, longer than it says, or noise. */
function fuzzed(random: Random): Uint8Array {
  const kind = random.below(10)
  if (kind === 0) return Uint8Array.from({ length: random.below(200) }, () => random.below(256))
  if (kind === 1) return arp()
  const payload = pattern(
    random.below(3) === 0 ? random.below(3000) : random.below(100),
    random.below(256),
  )
  const ends = random.below(3) === 0 ? { source: 'fd00::1', destination: 'fd00::2' } : {}
  const frame = tcp(random.below(20_000), payload, {
    ...ends,
    sourcePort: 40_000 + random.below(4),
    // All flags occur, SYN, FIN, RST and URG among them, but mostly data.
    flags: random.below(4) === 0 ? random.below(256) : 16,
    vlans: random.below(5) === 0 ? [{ id: random.below(4096) }] : [],
  })
  if (kind === 2) return frame.slice(0, random.below(frame.length))
  if (kind === 3) return Uint8Array.from([...frame, ...pattern(random.below(80), 1)])
  if (kind <= 6) {
    const changes = 1 + random.below(4)
    for (let count = 0; count < changes; count++) {
      // Mostly in the headers.
      const at =
        random.below(3) === 0
          ? random.below(frame.length)
          : random.below(Math.min(90, frame.length))
      frame[at] =
        random.below(3) === 0 ? (frame[at] ?? 0) ^ (1 << random.below(8)) : random.below(256)
    }
  }
  return frame
}

/** Reads some of what sockets have, one way or the other, and gives back what it read. */
function readSome(path: Path, random: Random): void {
  for (const { socket, receiver } of path.flows) {
    if (random.fraction() < 0.5) {
      for (let count = 0; count < 10 && socket.reader.queue.length > 0; count++) {
        receiver.take()?.release()
      }
      continue
    }
    while (socket.reader.queue.length > 0) {
      const control = new Uint8Array(3 * DEVMEM_CMSG_SPACE)
      const iov = [new Uint8Array(1 + random.below(2000))]
      const { bytes, controlBytes } = socket.recvmsg({ iov, control, flags: MSG_SOCK_DEVMEM })
      assert.ok(bytes > 0)
      for (const message of parseControl(control, controlBytes)) {
        assert.ok(message.kind !== 'other')
        if (message.kind === 'linear') continue
        assert.ok(message.fragOffset + message.fragSize <= path.dmabuf.bytes)
        socket.dontneed([{ start: message.fragToken, count: 1 }])
      }
    }
  }
}

const kinds: readonly [string, Pick<PathOptions, 'driver' | 'bound'>][] = [
  ['page driver', { driver: 'page' }],
  ['pages', {}],
  ['pages and device memory', { bound: [1] }],
  ['device memory', { bound: [0, 1] }],
]

for (const [name, options] of kinds) {
  for (const coalesce of [false, true]) {
    test(`${FRAMES} frames of all sorts: ${name}${coalesce ? ', coalesced' : ''}`, async () => {
      const random = new Random(coalesce ? 11 : 12)
      let segments = 0
      const path = await Path.open({
        ...options,
        nic: { queues: 2, link: { kind: 'injected' } },
        queues: { ringSize: 64, bufferBytes: 2048, coalesce },
        pages: 48,
        seen: (skb: AnySkb) => {
          segments += skb.segments
          assert.equal(
            options.bound?.includes(skb.queue) === true && skb.fragCount > 0,
            skb.kind === 'net_iov',
          )
        },
      })
      if (options.bound?.length === 1) {
        await path.nic.addRule({
          protocol: 'tcp',
          destinationAddress: Uint8Array.of(10, 0, 0, 2),
          destinationPort: 5001,
          queue: 1,
        })
      }
      for (let at = 0; at < FRAMES; at += BATCH) {
        const batch = Array.from({ length: BATCH }, () => fuzzed(random))
        assert.equal(await path.nic.inject(batch), BATCH)
        await path.step(at + 1)
        readSome(path, random)
      }
      const { device } = path.nic.stats()
      const { rx_packets, rx_hw_drops, rx_length_errors } = device
      assert.equal(rx_packets + rx_hw_drops + rx_length_errors, FRAMES)
      assert.equal(
        device.rx_csum_unnecessary + device.rx_csum_bad + device.rx_csum_none,
        rx_packets,
      )
      assert.equal(
        rx_hw_drops,
        device.rx_hw_drop_overruns + device.rx_stopped + device.rx_dma_faults,
      )
      assert.equal(device.rx_dma_faults + device.rx_stopped, 0)
      const driver = [0, 1].map((queue) => path.driver.stats(queue) ?? assert.fail())
      const sum = (of: (stats: (typeof driver)[number]) => number): number =>
        driver.reduce((total, stats) => total + of(stats), 0)
      const dropped = sum((stats) => stats.rx_dropped_unsplit + stats.rx_dropped_frags)
      assert.equal(segments + dropped, rx_packets)
      assert.equal(
        sum((stats) => stats.rx_packets),
        path.packets,
      )
      // A frame that can't be split has no rule, and reaches a bound queue only if all are bound.
      const allBound = options.bound?.length === 2
      assert.equal(dropped > 0, allBound)
      const table = path.table.stats()
      const { matched, other_packets, malformed, csum_bad } = table
      assert.equal(matched + other_packets + malformed + csum_bad, path.packets)
      assert.ok(csum_bad > 0)
      assert.ok(table.matched > FRAMES / 3)
      assert.equal(table.malformed > 0, !allBound)
      let deviceMemory = 0
      for (const { reassembler, socket, receiver } of path.flows) {
        for (let frag = receiver.take(); frag; frag = receiver.take()) frag.release()
        const { host_bytes, device_bytes, tokens, queued_bytes } = socket.stats()
        assert.equal(host_bytes + device_bytes + queued_bytes <= reassembler.stats().bytes, true)
        assert.deepEqual([tokens, queued_bytes], [0, 0])
        deviceMemory += device_bytes
      }
      assert.equal(deviceMemory > 0, options.bound !== undefined)
      await path.close()
    })
  }
}
