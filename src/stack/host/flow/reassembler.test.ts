import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assertCode, end } from '../../../testing/pools.test.helper.ts'
import { ACK, FIN, RST, SYN } from '../../../wire/tcp.ts'
import type { AnySkb } from '../skb/skb.ts'
import {
  iovSource,
  makings,
  PAGE_BYTES,
  type PageSource,
  pageSource,
  pattern,
  payload,
} from '../skb/skbs.test.helper.ts'
import { layoutOf } from './frames.test.helper.ts'
import { Reassembler } from './reassembler.ts'
import type { ReassemblerOptions } from './stream-types.ts'

/** A reassembler, and the bytes that came out of it. */
function watch(
  source: PageSource,
  options?: ReassemblerOptions,
): {
  stream: Reassembler
  send: (seq: number, bytes: Uint8Array | string, flags?: number, linear?: number) => void
  text: () => string
  out: number[]
} {
  const out: number[] = []
  const stream = new Reassembler((skb) => {
    assert.ok(skb.kind === 'page')
    assert.ok(skb.payloadLength > 0)
    out.push(...payload(skb))
    skb.free()
  }, options)
  return {
    stream,
    out,
    send: (seq, bytes, flags = ACK, linear = 0) => {
      const skb = source.of(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, linear)
      stream.receive(skb, layoutOf(seq, flags))
    },
    text: () => Buffer.from(out).toString(),
  }
}

test('segments in order go straight on, and FIN ends them', async () => {
  const source = pageSource()
  const { stream, send, text } = watch(source)
  assert.equal(stream.state, 'idle')
  send(99, '', SYN)
  send(100, 'hello ')
  send(106, 'wor')
  send(109, 'ld', FIN | ACK)
  assert.equal(text(), 'hello world')
  assert.equal(stream.state, 'finished')
  // Retransmitted as a whole, and something that was never the stream's.
  send(100, 'hello world', FIN | ACK)
  send(112, 'late')
  assert.equal(text(), 'hello world')
  assert.equal(stream.stats().duplicateBytes, 11)
  assert.equal(stream.stats().afterEndBytes, 4)
  await end(source.pool)
})

test('the stream begins with SYN, data in it included, or with the first data seen', async () => {
  const source = pageSource()
  const opened = watch(source)
  opened.send(0xffff_ffff, 'fast open', SYN)
  assert.equal(opened.text(), 'fast open')
  const joined = watch(source)
  // A keep-alive probe has the number before the next.
  joined.send(499, '')
  assert.equal(joined.stream.state, 'idle')
  joined.send(500, 'in ')
  joined.send(490, 'before; ')
  joined.send(503, 'the middle')
  assert.equal(joined.text(), 'in the middle')
  await end(source.pool)
})

test('with awaitSyn, a SYN and first data that were overtaken lose nothing', async () => {
  const source = pageSource()
  const { stream, send, text } = watch(source, { awaitSyn: true })
  send(6, 'world', FIN)
  send(0, 'hello ')
  assert.deepEqual([text(), stream.state, stream.queuedBytes], ['', 'idle', 11])
  assert.ok(!stream.startsAnew(layoutOf(-1, SYN)))
  send(-1, '', SYN)
  assert.deepEqual([text(), stream.state], ['hello world', 'finished'])
  assert.deepEqual([stream.stats().gaps, stream.stats().duplicateBytes], [0, 0])
  // What lies between the SYN and what has come is missing, like any other gap.
  const late = watch(source, { awaitSyn: true })
  late.send(6, 'world')
  late.send(-1, '', SYN)
  assert.deepEqual([late.text(), late.stream.state], ['', 'open'])
  late.send(0, 'hello ')
  assert.equal(late.text(), 'hello world')
  await end(source.pool)
})

test('a SYN is waited for until somebody says so, the queue is full, or it is over', async () => {
  const source = pageSource()
  const told = watch(source, { awaitSyn: true })
  told.stream.start()
  told.send(10, 'b')
  told.send(12, 'd')
  told.send(9, 'a')
  told.stream.start()
  assert.deepEqual([told.text(), told.stream.state], ['ab', 'open'])
  told.send(8, '', SYN)
  told.send(11, 'c')
  assert.equal(told.text(), 'abcd')
  for (const options of [{ queueSkbs: 2 }, { queueBytes: 2 }, { queueSkbs: 0 }] as const) {
    for (const whenFull of ['drop', 'skip'] as const) {
      const full = watch(source, { awaitSyn: true, whenFull, ...options })
      for (const [at, byte] of ['a', 'b', 'c'].entries()) full.send(at, byte)
      assert.equal(full.text(), 'abc')
    }
  }
  const over = watch(source, { awaitSyn: true })
  over.send(5, 'f', FIN)
  over.send(0, 'a')
  over.stream.flushGaps()
  assert.deepEqual([over.text(), over.stream.state], ['af', 'finished'])
  assert.equal(over.stream.stats().gapBytes, 4)
  for (const [flag, state] of [
    [FIN, 'finished'],
    [RST, 'reset'],
  ] as const) {
    const ended = watch(source, { awaitSyn: true })
    ended.send(0, '', flag)
    assert.equal(ended.stream.state, 'idle')
    ended.stream.start()
    assert.equal(ended.stream.state, state)
  }
  const closed = watch(source, { awaitSyn: true })
  closed.send(0, 'a')
  closed.stream.close()
  closed.stream.start()
  assert.deepEqual([closed.text(), closed.stream.state], ['', 'closed'])
  await end(source.pool)
})

test('a SYN behind what waits for one, or far before it, is of another connection', async () => {
  const source = pageSource()
  for (const seq of [99, -200, 2 ** 31]) {
    const { stream, send, text } = watch(source, { awaitSyn: true, queueBytes: 100 })
    send(1, 'bc')
    assert.ok(!stream.startsAnew(layoutOf(0, SYN)))
    assert.ok(!stream.startsAnew(layoutOf(-100, SYN)))
    assert.ok(stream.startsAnew(layoutOf(seq, SYN)))
    // Who takes it for the same all the same has what follows it, or what came first.
    send(seq, 'x', SYN)
    assert.equal(text(), seq === 99 ? 'x' : 'bc')
    stream.close()
  }
  await end(source.pool)
})

test('numbers wrap around', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0xffff_fffd, '', SYN)
  send(4, 'ef', FIN)
  send(0xffff_fffe, 'wrap')
  send(2, '!?')
  assert.equal(text(), 'wrap!?ef')
  assert.equal(stream.state, 'finished')
  assert.equal(stream.stats().outOfOrder, 1)
  await end(source.pool)
})

test('of bytes that come twice the first copy counts, also while they wait', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'AB', ACK)
  send(4, 'EF')
  send(8, 'IJ')
  // Over both of them, from the front, with linear bytes across a border.
  send(3, 'defghijkl', ACK, 2)
  assert.equal(stream.queuedBytes, 9)
  send(1, 'bcd')
  assert.equal(text(), 'ABcdEFghIJkl')
  assert.equal(stream.stats().duplicateBytes, 1 + 4 + 1)
  assert.equal(stream.queuedSkbs, 0)
  await end(source.pool)
})

test('a segment over all that waits is delivered although the queue is full', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source, { queueSkbs: 1 })
  send(0, 'a')
  send(2, 'C')
  send(4, 'E')
  assert.equal(stream.stats().dropped, 1)
  send(1, 'bcdefg')
  assert.equal(text(), 'abCdefg')
  await end(source.pool)
})

test('RST ends the stream where it stands, and is told from FIN', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'abc')
  send(1, 'ignored: it is old', RST)
  assert.equal(stream.state, 'open')
  send(3, 'why', RST | ACK)
  assert.equal(text(), 'abc')
  assert.equal(stream.state, 'reset')
  send(3, 'def')
  assert.equal(stream.stats().afterEndBytes, 3)
  const refused = watch(source)
  refused.send(0, '', RST | ACK)
  assert.equal(refused.stream.state, 'reset')
  await end(source.pool)
})

test('a RST that is not the next byte ends nothing yet', async () => {
  const source = pageSource()
  for (const awaitSyn of [false, true]) {
    const { send, text, stream } = watch(source, { awaitSyn })
    send(-1, '', SYN)
    send(8, 'i')
    for (const ahead of [1, 3, 6, 8, 9, 1000]) send(ahead, '', RST)
    assert.equal(stream.queuedBytes, 1)
    send(0, 'abc')
    send(3, 'def')
    send(6, 'gh')
    assert.deepEqual([text(), stream.state], ['abcdefghi', 'open'])
    send(9, 'j', FIN)
    assert.deepEqual([text(), stream.state], ['abcdefghij', 'finished'])
    assert.equal(stream.stats().afterEndBytes, 0)
    // At the end of a capture it counts if the stream has come to it: it was overtaken.
    const early = watch(source, { awaitSyn })
    early.send(-1, '', SYN)
    early.send(3, '', RST)
    early.send(0, 'abc')
    early.stream.flushGaps()
    assert.deepEqual([early.text(), early.stream.state], ['abc', 'reset'])
    const beyond = watch(source, { awaitSyn })
    beyond.send(-1, '', SYN)
    beyond.send(4, '', RST)
    beyond.send(0, 'abc')
    beyond.stream.flushGaps()
    assert.deepEqual([beyond.stream.state, beyond.stream.stats().gaps], ['open', 0])
  }
  // Nor does it while a SYN is waited for, unless it is the end of what waits.
  for (const [resetAt, state] of [
    [0, 'open'],
    [2, 'open'],
    [3, 'open'],
    [6, 'reset'],
    [7, 'open'],
  ] as const) {
    const held = watch(source, { awaitSyn: true })
    held.send(3, 'def')
    held.send(resetAt, '', RST)
    held.send(0, 'abc')
    held.send(-1, '', SYN)
    assert.deepEqual([held.text(), held.stream.state], ['abcdef', state])
    held.stream.close()
  }
  await end(source.pool)
})

test('what waits behind the end is freed when the end is known', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'a')
  send(4, 'efgh')
  send(9, 'jkl')
  send(3, 'd', FIN)
  assert.equal(stream.queuedBytes, 1)
  assert.equal(stream.stats().afterEndBytes, 7)
  send(1, 'bc')
  assert.equal(text(), 'abcd')
  assert.equal(stream.state, 'finished')
  await end(source.pool)
})

test('gaps that never fill are counted and passed over', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0xffff_fff0, 'a')
  send(0xffff_fff5, 'f')
  send(20, 'z')
  send(30, '', FIN)
  stream.flushGaps()
  assert.equal(text(), 'afz')
  assert.equal(stream.state, 'finished')
  const { gaps, gapBytes } = stream.stats()
  assert.deepEqual({ gaps, gapBytes }, { gaps: 3, gapBytes: 4 + 30 + 9 })
  stream.flushGaps()
  assert.equal(stream.stats().gaps, 3)
  await end(source.pool)
})

test('the queue is bounded by bytes and skbs; what gives way is chosen', async () => {
  const source = pageSource()
  for (const options of [{ queueBytes: 2 }, { queueSkbs: 2 }]) {
    const dropping = watch(source, options)
    dropping.send(0, '0')
    for (const seq of [2, 4, 6]) dropping.send(seq, `${seq}`)
    assert.equal(dropping.stream.queuedSkbs, 2)
    assert.equal(dropping.stream.stats().dropped, 1)
    assert.equal(dropping.stream.stats().droppedBytes, 1)
    dropping.send(1, '1')
    dropping.send(3, '3')
    assert.equal(dropping.text(), '01234')
    dropping.stream.close()
    const skipping = watch(source, { ...options, whenFull: 'skip' })
    skipping.send(0, '0')
    for (const seq of [4, 6, 2]) skipping.send(seq, `${seq}`)
    // Nothing before 2 has come, and it is the first there is.
    assert.equal(skipping.text(), '02')
    skipping.send(8, '8')
    assert.equal(skipping.text(), '024')
    skipping.send(10, 'a')
    assert.equal(skipping.text(), '0246')
    assert.equal(skipping.stream.stats().gaps, 3)
    skipping.stream.flushGaps()
    assert.equal(skipping.text(), '02468a')
    assert.equal(skipping.stream.stats().gapBytes, 5)
    assert.equal(skipping.stream.stats().dropped, 0)
  }
  assertCode('NETMEM_OUT_OF_RANGE', () => new Reassembler(() => {}, { queueSkbs: -1 }))
  await end(source.pool)
})

test('what is too far ahead is of another connection; a SYN tells', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(9, '', SYN)
  assert.ok(!stream.startsAnew(layoutOf(9, SYN)), 'the same SYN again')
  assert.ok(stream.startsAnew(layoutOf(10, SYN)))
  assert.ok(!stream.startsAnew(layoutOf(10)))
  send(10 + 2 ** 30 + 1, 'x')
  assert.equal(stream.stats().outOfWindow, 1)
  send(10, 'y', FIN)
  assert.equal(text(), 'y')
  assert.ok(!stream.startsAnew(layoutOf(9, SYN)))
  assert.ok(stream.startsAnew(layoutOf(5000, SYN)))
  const joined = watch(source)
  joined.send(10, 'y')
  assert.ok(!joined.stream.startsAnew(layoutOf(9, SYN)), 'it may be late')
  await end(source.pool)
})

test('close gives back what waits, from within the sink too', async () => {
  const source = pageSource()
  let stream: Reassembler
  let seen = 0
  const sink = (skb: AnySkb): void => {
    seen++
    skb.free()
    stream.close()
  }
  for (const last of ['b', 'bcdefgh']) {
    stream = new Reassembler(sink)
    seen = 0
    const send = (seq: number, text: string): void =>
      stream.receive(source.of(Buffer.from(text)), layoutOf(seq))
    stream.receive(source.of(new Uint8Array(0)), layoutOf(0, SYN))
    send(3, 'c')
    send(5, 'e')
    send(2, last)
    assert.equal(seen, 0)
    send(1, last)
    assert.equal(seen, 1)
    assert.equal(source.pool.out, 0)
    send(100, 'more')
    stream.flushGaps()
    assert.equal(stream.state, 'closed')
    stream.close()
    assert.equal(source.pool.out, 0)
  }
  await end(source.pool)
})

test('urgent data stays in line', async () => {
  const source = pageSource()
  const { send, text, stream } = watch(source)
  send(0, 'before ')
  const layout = layoutOf(7, 0x38)
  layout.urgentPointer = 1
  stream.receive(source.of(Buffer.from('!after')), layout)
  assert.equal(text(), 'before !after')
  await end(source.pool)
})

test('device memory is put in order unseen, and pages may come before it', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const seen: [string, number][] = []
  const stream = new Reassembler((skb) => {
    seen.push([skb.kind, skb.payloadLength])
    skb.free()
  })
  const device = (seq: number, length: number): void => {
    iovs.forget()
    const skb = iovs.skb([{ netmem: 0, offset: 0, length }], pattern(4))
    stream.receive(skb, layoutOf(seq))
  }
  stream.receive(pages.of(pattern(10)), layoutOf(0))
  device(20, 6)
  device(40, 6)
  device(15, 41)
  stream.receive(pages.of(pattern(10)), layoutOf(10))
  // 15 to 60, four bytes of it linear, with 20 to 30 and 40 to 50 cut out; of the page, what came before 15.
  assert.deepEqual(seen, [
    ['page', 10],
    ['page', 5],
    ['net_iov', 5],
    ['net_iov', 10],
    ['net_iov', 10],
    ['net_iov', 10],
    ['net_iov', 10],
  ])
  iovs.forget()
  await end(pages.pool, iovs.pool)
})

/** Returns the expected stream: the first copy of each byte, up to the first missing one. */
function model(segments: readonly { at: number; bytes: Uint8Array }[], length: number): number[] {
  const stream = new Array<number | undefined>(length).fill(undefined)
  for (const { at, bytes } of segments) {
    for (const [index, byte] of bytes.entries()) {
      if (at + index >= 0 && at + index < length) stream[at + index] ??= byte
    }
  }
  const missing = stream.indexOf(undefined)
  return stream.slice(0, missing < 0 ? length : missing).map((byte) => byte ?? -1)
}

for (const making of makings) {
  test(`any segments in any order, beside a plain model: ${making} pools`, async () => {
    const source = pageSource(512, making)
    const STREAM = 300
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 32 - 1 }),
        fc.boolean(),
        fc.array(
          fc.record({
            at: fc.integer({ min: -20, max: STREAM }),
            length: fc.nat({ max: 60 }),
            linear: fc.nat({ max: 20 }),
          }),
          { maxLength: 60 },
        ),
        fc.boolean(),
        fc.nat({ max: 70 }),
        (random, nearWrap, pieces, fills, synAt) => {
          const start = nearWrap ? 2 ** 32 - (random % STREAM) : random
          const { stream, send, out } = watch(source, { awaitSyn: true })
          let begun = false
          const begin = (): void => {
            send(start - 1, '', SYN)
            begun = true
          }
          if (synAt > pieces.length) begin()
          // Each copy has bytes of its own.
          const segments = pieces.map(({ at, length }, index) => ({
            at,
            bytes: pattern(Math.min(length, STREAM - at), index * 31),
          }))
          if (fills) segments.push({ at: 0, bytes: pattern(STREAM, 200) })
          for (const [index, { at, bytes }] of segments.entries()) {
            send(start + at, bytes, ACK, Math.min(pieces[index]?.linear ?? 0, bytes.length))
            if (!begun && index === synAt) begin()
            const sofar = model(segments.slice(0, index + 1), STREAM)
            assert.deepEqual(out, begun ? sofar : [])
          }
          if (!begun) begin()
          send(start + STREAM, '', FIN)
          if (fills) assert.equal(stream.state, 'finished')
          const { duplicateBytes, afterEndBytes, dropped } = stream.stats()
          const sent = segments.reduce((sum, { bytes }) => sum + bytes.length, 0)
          assert.equal(dropped + afterEndBytes, 0)
          assert.equal(out.length + stream.queuedBytes + duplicateBytes, sent)
          if (random % 2 === 0) stream.flushGaps()
          stream.close()
          assert.equal(source.pool.out, 0)
        },
      ),
      { numRuns: 150 },
    )
    await end(source.pool)
  })
}

test('a stream in random pieces, shuffled and doubled, comes out whole', async () => {
  const source = pageSource(512)
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 2 * PAGE_BYTES }), { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(fc.nat({ max: 1000 })),
      fc.nat({ max: 2 ** 32 - 1 }),
      (lengths, order, start) => {
        const total = lengths.reduce((sum, length) => sum + length, 0)
        const bytes = pattern(total, 5)
        let at = 0
        const pieces = lengths.map((length) => {
          at += length
          return { from: at - length, to: at, key: order.next().value ?? 0 }
        })
        const twice = pieces.map((piece) => ({ ...piece, key: order.next().value ?? 0 }))
        const shuffled = [...pieces, ...twice].sort((a, b) => a.key - b.key)
        const { send, out, stream } = watch(source, { awaitSyn: true })
        const synAt = (order.next().value ?? 0) % (shuffled.length + 1)
        for (const [index, { from, to }] of shuffled.entries()) {
          if (index === synAt) send(start, '', SYN)
          send(start + 1 + from, bytes.subarray(from, to), to === total ? FIN : ACK)
        }
        if (synAt === shuffled.length) send(start, '', SYN)
        assert.deepEqual(Uint8Array.from(out), bytes)
        assert.equal(stream.state, 'finished')
        assert.equal(stream.stats().duplicateBytes, total)
        assert.equal(source.pool.out, 0)
      },
    ),
    { numRuns: 60 },
  )
  await end(source.pool)
})

test('within small bounds, what comes out is right as far as it goes', async () => {
  const source = pageSource(512)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 200 }), fc.integer({ min: 1, max: 40 })), { maxLength: 60 }),
      fc.nat({ max: 60 }),
      fc.nat({ max: 4 }),
      fc.constantFrom<'drop' | 'skip'>('drop', 'skip'),
      (pieces, queueBytes, queueSkbs, whenFull) => {
        const bytes = pattern(240)
        const { stream, send, out } = watch(source, { queueBytes, queueSkbs, whenFull })
        send(999, '', SYN)
        for (const [at, length] of pieces) {
          send(1000 + at, bytes.subarray(at, at + length))
          assert.ok(stream.queuedBytes <= queueBytes && stream.queuedSkbs <= queueSkbs)
        }
        const { gapBytes, bytes: delivered } = stream.stats()
        assert.equal(delivered, out.length)
        if (whenFull === 'drop') {
          assert.equal(gapBytes, 0)
          assert.deepEqual(Uint8Array.from(out), bytes.subarray(0, out.length))
        }
        stream.close()
        assert.equal(source.pool.out, 0)
      },
    ),
  )
  await end(source.pool)
})
