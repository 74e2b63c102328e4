import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Netmem, type Page, release } from '../../../netmem.ts'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode, end, some } from '../../../testing/pools.test.helper.ts'
import { DeviceError } from '../../device-error.ts'
import { coalesce } from './coalesce.ts'
import { checksumOf, copyBits, pull } from './readable.ts'
import { MAX_SKB_FRAGS, type Skb } from './skb.ts'
import {
  HEAD_BYTES,
  iovSource,
  makings,
  pageSource,
  pattern,
  payload,
  ranges,
  type SkbSource,
} from './skbs.test.helper.ts'

for (const making of makings) {
  test(`an skb gives back what it holds, once: ${making} pools`, async () => {
    for (const source of [pageSource(64, making), iovSource(64, making)]) {
      const skb = source.skb([
        { netmem: 0, offset: 0, length: 100 },
        { netmem: 0, offset: 100, length: 100 },
        { netmem: 1, offset: 0, length: 1 },
      ])
      assert.equal(skb.payloadLength, 201)
      assert.equal(source.pool.out, 2)
      skb.free()
      assert.equal(source.pool.out, 0)
      assertCode('NETMEM_SKB_FREED', () => skb.free())
      assertCode('NETMEM_SKB_FREED', () => skb.trimFront(1))
      assertCode('NETMEM_SKB_FREED', () => skb.trimEnd(1))
      assertCode('NETMEM_SKB_FREED', () => skb.splitFront(1))
      assertCode('NETMEM_SKB_FREED', () => skb.takeFrag(0))
      assertCode('NETMEM_SKB_FREED', () => skb.shareFrag(0))
      await end(source.pool)
    }
  })
}

test('an skb that is used again knows nothing of the packet before', async () => {
  const source = pageSource()
  const first = source.of(pattern(5000), 100)
  first.checksumVerified = true
  first.hash = -1
  first.queue = 3
  first.segments = 9
  first.free()
  const second = source.cache.take()
  assert.equal(second, first)
  const { checksumVerified, hash, queue, segments, headLength, payloadLength, fragCount } = second
  assert.deepEqual(
    { checksumVerified, hash, queue, segments, headLength, payloadLength, fragCount },
    {
      checksumVerified: false,
      hash: 0,
      queue: 0,
      segments: 1,
      headLength: 0,
      payloadLength: 0,
      fragCount: 0,
    },
  )
  second.free()
  await end(source.pool)
})

test('a waiter for memory may use the skb while it is being freed', async () => {
  const source = pageSource(1)
  const skb = source.of(pattern(10))
  const other = source.cache.take()
  other.free()
  let freedInside = false
  source.pool.notify(() => {
    // The skb is not in the cache yet.
    assert.notEqual(source.cache.take(), skb)
    assertCode('NETMEM_SKB_FREED', () => skb.free())
    freedInside = true
  })
  skb.free()
  assert.ok(freedInside)
  await end(source.pool)
})

test('there is no skb of both kinds, and none of more frags than the kernel has', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const skb = pages.skb([])
  const javascript: { addFrag(m: unknown, at: number, n: number): boolean } = skb as never
  const m = iovs.netmem(0)
  assertCode('NETMEM_WRONG_KIND', () => javascript.addFrag(m, 0, 1))
  assert.equal(skb.fragCount, 0)
  release(m)
  for (let at = 0; at < MAX_SKB_FRAGS; at++) {
    assert.ok(skb.addFrag(pages.netmem(at), 0, 1))
  }
  const more = pages.netmem(MAX_SKB_FRAGS)
  assert.equal(skb.addFrag(more, 0, 1), false)
  release(more)
  skb.free()
  await end(pages.pool, iovs.pool)
})

test('readable bytes are copied, pulled and summed; unreadable ones are not', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const bytes = pattern(9000)
  const skb = pages.of(bytes, 77)
  for (const [offset, length] of [
    [0, 9000],
    [76, 2],
    [77, 4032],
    [5000, 10_000],
    [9000, 1],
    [10_000, 1],
  ] as const) {
    const target = new Uint8Array(length)
    const there = Math.max(0, Math.min(length, 9000 - offset))
    assert.equal(copyBits(skb, offset, target), there)
    assert.deepEqual(target.subarray(0, there), bytes.subarray(offset, offset + there))
  }
  assertCode('NETMEM_OUT_OF_RANGE', () => copyBits(skb, -1, new Uint8Array(1)))
  assertCode('NETMEM_OUT_OF_RANGE', () => skb.trimFront(-1))
  assertCode('NETMEM_OUT_OF_RANGE', () => skb.trimEnd(0.5))
  assert.equal(pull(skb, HEAD_BYTES - 54 - 77 + 1), false)
  assert.equal(pull(skb, HEAD_BYTES - 54 - 77), true)
  assert.equal(skb.headLength, HEAD_BYTES)
  assert.deepEqual(payload(skb), bytes)
  skb.free()
  assertCode('NETMEM_SKB_FREED', () => copyBits(skb, 0, new Uint8Array(1)))

  const device = iovs.skb([{ netmem: 0, offset: 0, length: 50 }], pattern(9))
  for (const look of [
    () => copyBits(device as never, 0, new Uint8Array(1)),
    () => pull(device as never, 1),
    () => checksumOf(device as never, 0, 1),
  ]) {
    assertCode('NETMEM_UNREADABLE', look)
    assert.throws(look, (error) => error instanceof DeviceError && error.errno === 'EFAULT')
  }
  device.free()
  await end(pages.pool, iovs.pool)
})

test('a sum over odd pieces is the sum over the bytes in a row', async () => {
  const source = pageSource()
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 8 }),
      fc.nat({ max: 60 }),
      fc.nat({ max: 60 }),
      (linear, lengths, offset, length) => {
        source.forget()
        const pieces = lengths.map((bytes, netmem) => ({ netmem, offset: 3, length: bytes }))
        const skb = source.skb(pieces, linear)
        for (const [at, m] of skb.frags.slice(0, skb.fragCount).entries()) {
          source.pool.bytes(some(m)).set(pattern(9, at), 3)
        }
        const all = new Uint8Array(54 + skb.payloadLength)
        all.set(skb.head.subarray(0, 54))
        all.set(payload(skb), 54)
        let sum = 7
        const part = all.subarray(offset, offset + length)
        for (const [at, byte] of part.entries()) sum += at % 2 === 0 ? byte << 8 : byte
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
        assert.equal(checksumOf(skb, offset, length, 7), sum)
        skb.free()
      },
    ),
  )
  source.forget()
  await end(source.pool)
})

test('trimming, splitting and coalescing keep the bytes, and give back what is empty', async () => {
  const source = pageSource(256)
  fc.assert(
    fc.property(
      fc.nat({ max: 60 }),
      fc.nat({ max: 12_000 }),
      fc.array(
        fc.record({
          what: fc.constantFrom('front', 'end', 'split', 'merge', 'pull'),
          by: fc.nat({ max: 9000 }),
        }),
        { maxLength: 12 },
      ),
      (linear, length, steps) => {
        let bytes = pattern(length + linear)
        let skb = source.of(bytes, linear)
        for (const { what, by } of steps) {
          if (what === 'front') {
            assert.equal(skb.trimFront(by), Math.min(by, bytes.length))
            bytes = bytes.subarray(Math.min(by, bytes.length))
          } else if (what === 'end') {
            assert.equal(skb.trimEnd(by), Math.min(by, bytes.length))
            bytes = bytes.subarray(0, Math.max(0, bytes.length - by))
          } else if (what === 'pull') {
            pull(skb, by % 50)
          } else {
            const at = Math.min(by, bytes.length)
            const front = skb.splitFront(at)
            assert.deepEqual(payload(front), bytes.subarray(0, at))
            assert.deepEqual(payload(skb), bytes.subarray(at))
            if (what === 'merge') {
              const before = ranges(skb)
              if (coalesce(front, skb)) {
                assert.ok(skb.freed)
                skb = front
              } else {
                assert.deepEqual(ranges(skb), before)
                front.free()
                bytes = bytes.subarray(at)
              }
            } else {
              front.free()
              bytes = bytes.subarray(at)
            }
          }
          assert.deepEqual(payload(skb), bytes)
          assert.equal(skb.payloadLength, bytes.length)
          for (let at = 0; at < skb.fragCount; at++) assert.ok((skb.lengths[at] ?? 0) > 0)
        }
        skb.free()
        assert.equal(source.pool.out, 0)
      },
    ),
  )
  await end(source.pool)
})

async function neighboursMerge<M extends Netmem>(source: SkbSource<M>): Promise<void> {
  const pair = (next: number): Skb<M> => {
    source.forget()
    const to = source.skb([{ netmem: 0, offset: 0, length: 100 }])
    const from = source.skb([
      { netmem: 0, offset: next, length: 50 },
      { netmem: 1, offset: 0, length: 10 },
    ])
    assert.ok(coalesce(to, from))
    assert.ok(from.freed)
    return to
  }
  const near = pair(100)
  assert.equal(near.fragCount, 2)
  assert.equal(near.payloadLength, 160)
  assert.equal(near.segments, 2)
  assert.equal(source.pool.out, 2)
  near.free()
  assert.equal(source.pool.out, 0)
  const far = pair(101)
  assert.equal(far.fragCount, 3)
  far.free()
  await end(source.pool)
}

for (const making of makings) {
  test(`neighbours of one netmem become one frag: ${making} pools`, async () => {
    await neighboursMerge(pageSource(64, making))
    await neighboursMerge(iovSource(64, making))
  })
}

test('what does not fit is not coalesced, and nothing changes', async () => {
  const source = pageSource(64)
  const other = pageSource(64)
  const one = (netmem: number) => ({ netmem, offset: 0, length: 10 })
  const many = Array.from({ length: 10 }, (_, at) => one(at))
  const refused = (to: Skb<Page>, from: Skb<Page>): void => {
    const before = [ranges(to), ranges(from)]
    assert.equal(coalesce(to, from), false)
    assert.deepEqual([ranges(to), ranges(from)], before)
    if (to !== from) to.free()
    from.free()
    source.forget()
    other.forget()
  }
  refused(
    source.skb(many),
    source.skb(many.map(({ netmem }) => one(netmem + 10)).slice(0, MAX_SKB_FRAGS - 9)),
  )
  // Linear bytes behind frags, or more of them than there is room for.
  refused(source.skb([one(0)]), source.skb([], pattern(1)))
  refused(source.skb([], pattern(150)), source.skb([], pattern(HEAD_BYTES - 54 - 149)))
  const same = source.skb([one(0)])
  refused(same, same)
  const [to, from] = [source.skb([], pattern(50)), source.skb([one(0)], pattern(30, 50))]
  to.checksumVerified = true
  assert.ok(coalesce(to, from))
  assert.equal(to.checksumVerified, false)
  assert.equal(to.headLength, 54 + 80)
  assert.equal(to.payloadLength, 90)
  assertCode('NETMEM_SKB_FREED', () => coalesce(to, from))
  // Memory of two pools fits: each netmem goes back to its own.
  assert.ok(coalesce(to, other.skb([one(0)])))
  assert.deepEqual([source.pool.out, other.pool.out], [1, 1])
  to.free()
  source.forget()
  await end(source.pool, other.pool)
})

test('regression: page and net_iov in one skb', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const page = pages.skb([{ netmem: 0, offset: 0, length: 10 }])
  const iov = iovs.skb([{ netmem: 0, offset: 0, length: 10 }])
  for (const [to, from] of [
    [page, iov],
    [iov, page],
  ]) {
    assertCode('NETMEM_WRONG_KIND', () => coalesce(some(to) as never, some(from) as never))
  }
  assert.equal(page.fragCount + iov.fragCount, 2)
  page.free()
  iov.free()
  await end(pages.pool, iovs.pool)
})
