// Packets that a driver sends arrive at the far end of the link, with right checksums.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { some } from '../../testing/pools.test.helper.ts'
import { ChecksumResult, verifyChecksums } from '../../wire/frame-checksums.ts'
import { FrameLayout, parseFrame } from '../../wire/frame-layout.ts'
import { createFrameMemory } from '../../wire/frame-memory.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { Path, pattern, tcp } from './path.test.helper.ts'

/** Returns the result of {@link verifyChecksums} for a frame. */
function checksumOf(frame: Uint8Array): number {
  const memory = createFrameMemory(frame.length)
  memory.bytes.set(frame)
  const layout = parseFrame(memory.bytes, 0, frame.length, new FrameLayout())
  return verifyChecksums(memory, 0, layout)
}

const FRAMES = 100

for (const driver of ['page', 'netmem'] as const) {
  test(`received packets are sent back, stepped and running: ${driver} driver`, async () => {
    for (const stepped of [true, false]) {
      const waiting: AnySkb[] = []
      const path = await Path.open({
        driver,
        device: { stepped },
        nic: { link: { kind: 'injected' }, settings: { pause: true } },
        queues: { txRingSize: 32, bufferBytes: 1024 },
        seen: (skb) => waiting.push(skb) > 0,
      })
      if (!stepped) path.driver.run()
      const frames = Array.from({ length: FRAMES }, (_, at) => tcp(at, pattern(1 + at * 29, at)))
      const broken = frames.map((frame) => {
        const wrong = new Uint8Array(frame)
        // IPv4's and TCP's checksum, for the NIC to write.
        wrong.fill(0xee, 24, 26).fill(0xee, 50, 52)
        return wrong
      })
      const sent: Uint8Array[] = []
      const reading = (async () => {
        for await (const frame of path.nic.transmitted()) {
          sent.push(frame)
          if (sent.length === FRAMES) return
        }
      })()
      for (let at = 0; at < FRAMES; at += 10) {
        await path.nic.inject(broken.slice(at, at + 10))
        while (waiting.length > 0 || sent.length < at + 10) {
          if (stepped) await path.step(1e6 + at)
          else await new Promise((resolve) => setImmediate(resolve))
          while (waiting.length > 0) {
            const skb = some(waiting[0])
            assert.ok(skb.kind === 'page')
            if (!path.driver.transmit(skb)) break
            waiting.shift()
          }
        }
      }
      await reading
      for (const [at, frame] of sent.entries()) {
        assert.equal(checksumOf(frame), ChecksumResult.ok)
        assert.deepEqual(frame, frames[at])
      }
      const { tx_packets, tx_needs_csum, rx_csum_bad } = path.nic.stats().device
      assert.deepEqual([tx_packets, tx_needs_csum, rx_csum_bad], [FRAMES, FRAMES, FRAMES])
      await path.close()
    }
  })
}

test('device memory is not sent: it fails with its code, and the skb stays the caller’s', async () => {
  const kinds: string[] = []
  const path = await Path.open({
    bound: [0],
    nic: { link: { kind: 'injected' } },
    seen: (skb) => {
      kinds.push(skb.kind)
      if (skb.kind === 'page') return
      const error = { code: 'NETMEM_UNREADABLE', errno: 'EFAULT' }
      // @ts-expect-error an skb of net_iovs
      assert.throws(() => path.driver.transmit(skb), error)
      assert.equal(skb.freed, false)
    },
  })
  await path.through(tcp(1, pattern(100, 1)), tcp(101, pattern(100, 1)))
  assert.deepEqual(kinds, ['net_iov', 'net_iov'])
  assert.deepEqual(path.nic.stats().device.tx_packets, 0)
  await path.close()
})
