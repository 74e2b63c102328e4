import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { end } from '../../../testing/pools.test.helper.ts'
import { ACK, FIN, SYN } from '../../../wire/tcp.ts'
import { makings, PAGE_BYTES, pageSource, pattern } from '../skb/skbs.test.helper.ts'
import { watch } from './reassembler.test.helper.ts'

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
          const { duplicate_bytes, after_end_bytes, dropped } = stream.stats()
          const sent = segments.reduce((sum, { bytes }) => sum + bytes.length, 0)
          assert.equal(dropped + after_end_bytes, 0)
          assert.equal(out.length + stream.queuedBytes + duplicate_bytes, sent)
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
        assert.equal(stream.stats().duplicate_bytes, total)
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
        const { gap_bytes, bytes: delivered } = stream.stats()
        assert.equal(delivered, out.length)
        if (whenFull === 'drop') {
          assert.equal(gap_bytes, 0)
          assert.deepEqual(Uint8Array.from(out), bytes.subarray(0, out.length))
        }
        stream.close()
        assert.equal(source.pool.out, 0)
      },
    ),
  )
  await end(source.pool)
})
