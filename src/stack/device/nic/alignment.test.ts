// Payload in memory that threads share may begin a few bytes into its buffer, so that it is copied
// word by word: right for every alignment of the frame and of the buffer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import {
  emptyFrame,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  ORDINARY_FRAMES,
} from '../../link/link.ts'
import { createDoorbell } from '../../rings/doorbell.ts'
import { RX_END_OF_PACKET, RxCompletion } from '../../rings/rx-front-end.ts'
import { createRxRings, DriverRxRing, NicRxRing } from '../../rings/shared-rings.ts'
import { DmaSpace } from '../dma-space.ts'
import { frame, pattern } from './frames.test.helper.ts'
import { NetworkCard } from './network-card.ts'
import { SPLIT, UNSPLIT } from './nic.test.helper.ts'

/** Plays one frame from any place in memory. */
class PlacedLink implements Link {
  readonly features: LinkFeatures = ORDINARY_FRAMES
  readonly #memory = createFrameMemory(0x1_0000)
  readonly #frame: LinkFrame = emptyFrame(this.#memory)
  #waits = false

  put(bytes: Uint8Array, offset: number): void {
    this.#memory.bytes.set(bytes, offset)
    this.#frame.offset = offset
    this.#frame.length = bytes.length
    this.#frame.originalLength = bytes.length
    this.#waits = true
  }

  receive(): LinkFrame | undefined {
    if (!this.#waits) return undefined
    this.#waits = false
    return this.#frame
  }

  nextAtNs(): number {
    return this.#waits ? 0 : Infinity
  }

  get ended(): boolean {
    return !this.#waits
  }

  transmit(): void {}
  close(): void {}

  [Symbol.dispose](): void {
    this.close()
  }
}

const UNTOUCHED = 0xcc
const STRIDE = 4096

/** Result of one frame: the offset of each piece in its buffer, and its bytes. */
interface Received {
  readonly offsets: readonly number[]
  readonly bytes: Uint8Array
  readonly dropped: number
}

interface Placed {
  readonly split: boolean
  /** Offset of the frame in the link's memory, and of each buffer in the host's. */
  readonly source: number
  readonly target: number
  readonly bufferBytes: number
  readonly buffers: number
  readonly memory: ArrayBuffer | SharedArrayBuffer
}

const HEADERS = 54

function receive(payload: Uint8Array, placed: Placed): Received {
  const { split, source, target, bufferBytes, buffers } = placed
  const dma = new DmaSpace()
  const link = new PlacedLink()
  const nic = new NetworkCard({ dma, link, queues: 1 })
  const host = new Uint8Array(placed.memory).fill(UNTOUCHED)
  const region = dma.map(host)
  const headers = new Uint8Array(8 * 128)
  const pages = [{ region: dma.map(headers), offset: 0, buffers: 8 }]
  const rings = createRxRings(8, { bytes: 128, pages }, createDoorbell())
  const ring = new DriverRxRing(rings)
  for (let id = 0; id < buffers; id++) ring.post(id, region, target + id * STRIDE, bufferBytes)
  ring.flush()
  nic.startQueue(0, new NicRxRing(rings), split ? SPLIT : UNSPLIT)
  link.put(frame({ payload }), source)
  nic.receive(0, 1)
  const completion = new RxCompletion()
  const offsets: number[] = []
  const got: number[] = []
  let ended = false
  while (ring.poll(completion)) {
    const { id, offset, bytes } = completion
    assert.ok(offset + bytes <= bufferBytes)
    offsets.push(offset)
    const at = target + id * STRIDE + offset
    got.push(...host.subarray(at, at + bytes))
    host.fill(UNTOUCHED, at, at + bytes)
    ended = (completion.flags & RX_END_OF_PACKET) !== 0
  }
  assert.ok(
    host.every((byte) => byte === UNTOUCHED),
    'no byte beside what was completed',
  )
  assert.equal(ended, offsets.length > 0)
  const { rx_hw_drops } = nic.counters.stats().device
  return { offsets, bytes: Uint8Array.from(got), dropped: rx_hw_drops }
}

for (const split of [true, false]) {
  test(`shared memory, every alignment of frame and buffer, ${split ? 'split' : 'not split'}`, () => {
    const memory = new SharedArrayBuffer(4 * STRIDE + 64)
    const seen = new Set<number>()
    for (let source = 0; source < 8; source++) {
      for (let target = 0; target < 8; target++) {
        for (const bytes of [1, 511, 600, 2040, 2048, 3000]) {
          const payload = pattern(bytes, source + target)
          const placed = { split, source, target, bufferBytes: 2048, buffers: 3, memory }
          const { offsets, bytes: got, dropped } = receive(payload, placed)
          const expected = split ? payload : frame({ payload })
          assert.deepEqual(got, expected)
          assert.equal(dropped, 0)
          const [first = -1, ...rest] = offsets
          assert.ok(rest.every((offset) => offset === 0))
          if (expected.length < 512) assert.equal(first, 0)
          else assert.equal((source + (split ? HEADERS : 0) - target - first) & 7, 0)
          seen.add(first)
        }
      }
    }
    assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4, 5, 6, 7])
  })
}

test('memory of one thread is filled from its beginning', () => {
  for (const source of [0, 3, 7]) {
    const memory = new ArrayBuffer(4 * STRIDE + 64)
    const placed = { split: true, source, target: 5, bufferBytes: 2048, buffers: 3, memory }
    const { offsets, bytes } = receive(pattern(1000), placed)
    assert.deepEqual(offsets, [0])
    assert.deepEqual(bytes, pattern(1000))
  }
})

test('where the last buffers are just enough nothing is left out, and no frame is lost', () => {
  const memory = new SharedArrayBuffer(4 * STRIDE + 64)
  for (let source = 0; source < 8; source++) {
    for (const buffers of [1, 2]) {
      const placed = { split: true, source, target: 0, bufferBytes: 1024, buffers, memory }
      for (const spare of [0, 1, 6, 7]) {
        const payload = pattern(buffers * 1024 - spare, source)
        const { offsets, bytes, dropped } = receive(payload, placed)
        const pad = (source + HEADERS) & 7
        assert.equal(offsets[0], pad > spare ? 0 : pad)
        assert.equal(offsets.length, buffers)
        assert.deepEqual(bytes, payload)
        assert.equal(dropped, 0)
      }
      const { dropped, offsets } = receive(pattern(buffers * 1024 + 1), placed)
      assert.deepEqual([dropped, offsets.length], [1, 0])
    }
  }
})
