import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillChecksums, hasPartialChecksum } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { bytesOf, frameOf } from '../frames.test.helper.ts'
import { createGenerator } from '../generator.ts'
import type { LinkFrame } from '../link.ts'

const layout = new FrameLayout()

function isPartial({ memory, offset, length }: LinkFrame): boolean {
  return hasPartialChecksum(memory.bytes, offset, parseFrame(memory.bytes, offset, length, layout))
}

test('what an offloading sender makes is partial, what others make is not', () => {
  for (const ipVersion of [4, 6] as const) {
    for (const mssBytes of [1, 1448, 65_000]) {
      const options = { ipVersion, mssBytes, framesPerFlow: 3, flows: 2 }
      const partial = createGenerator({ ...options, checksum: 'partial' })
      const complete = createGenerator(options)
      for (let taken = 0; taken < 20; taken++) {
        const left = partial.receive(0)
        const whole = complete.receive(0)
        assert.ok(left !== undefined && whole !== undefined)
        assert.ok(isPartial(left))
        assert.ok(!isPartial(whole))
        // Completing the one makes the other.
        const copy = frameOf(bytesOf(left))
        assert.ok(isPartial(copy))
        assert.ok(fillChecksums(copy.memory, copy.offset, layout))
        assert.deepEqual(bytesOf(copy), bytesOf(whole))
      }
    }
  }
})

/** 10.0.0.1:1 to 10.0.0.2:2 over UDP with this payload and checksum. */
function udp(payload: number[], checksum: number): LinkFrame {
  const bytes = new Uint8Array(42 + payload.length)
  bytes.set([8, 0, 0x45, 0, 0, 28 + payload.length, 0, 0, 0, 0, 64, 17], 12)
  bytes.set([10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 8 + payload.length], 26)
  bytes.set([checksum >> 8, checksum & 255, ...payload], 40)
  return frameOf(bytes)
}

test('UDP: no checksum is not a partial one; a sum of 0 is written as 0xffff', () => {
  assert.ok(!isPartial(udp([1, 2], 0)))
  // 10.0.0.1 + 10.0.0.2 + 17 + 10.
  const partial = udp([1, 2], 0x141e)
  assert.ok(isPartial(partial))
  assert.equal(layout.kind, FrameKind.udp)
  // A payload that makes the sum 0xffff: 0x141e + 1 + 2 + 10 + payload.
  const rest = 0xffff - 0x141e - 13
  const zero = udp([rest >> 8, rest & 255], 0x141e)
  assert.ok(isPartial(zero))
  assert.ok(fillChecksums(zero.memory, zero.offset, layout))
  const copy = bytesOf(zero)
  assert.deepEqual([copy[40], copy[41]], [0xff, 0xff])
})

test('fragments and other protocols have none; what is not all there is not completed', () => {
  const fragment = udp([1, 2], 0x141e)
  fragment.memory.bytes[fragment.offset + 20] = 0x20
  assert.ok(!isPartial(fragment))
  assert.ok(!fillChecksums(fragment.memory, fragment.offset, layout))
  const cut = udp([1, 2], 0x141e)
  parseFrame(cut.memory.bytes, cut.offset, 43, layout, 44)
  assert.ok(hasPartialChecksum(cut.memory.bytes, cut.offset, layout))
  assert.ok(!fillChecksums(cut.memory, cut.offset, layout))
})
