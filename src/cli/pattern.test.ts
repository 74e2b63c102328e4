import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { Pattern, PERIOD_BYTES, Verifier } from './pattern.ts'

const pattern = new Pattern(7)

/** The stream's bytes `from` to `to`, made one period at a time. */
function stretch(from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(to - from)
  for (let at = from; at < to; ) {
    const view = pattern.view(at, to - at)
    bytes.set(view, at - from)
    at += view.byteLength
  }
  return bytes
}

/** Bytes of a stream in chunks that end at `cuts`. */
function chunks(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...cuts.filter((cut) => cut < bytes.byteLength).sort((a, b) => a - b)]
  return [...ends, bytes.byteLength].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}

function verify(parts: readonly Uint8Array[]): Verifier {
  const verifier = new Verifier(pattern)
  for (const part of parts) verifier.check(part)
  return verifier
}

const length = 3 * PERIOD_BYTES + 12_345
const good = stretch(0, length)
const cuts = fc.array(fc.nat(length), { maxLength: 20 })

describe('the pattern', () => {
  it('is the same on every machine', () => {
    assert.deepEqual([...pattern.view(0, 8)], [...new Pattern(7).view(0, 8)])
    assert.equal(Buffer.from(new Pattern(1).view(0, 8)).toString('hex'), '72172d5ef098e414')
    assert.notDeepEqual(new Pattern(8).view(0, 64), pattern.view(0, 64))
  })

  it('repeats after its period, and not before', () => {
    assert.deepEqual(stretch(5, 100), stretch(5 + PERIOD_BYTES, 100 + PERIOD_BYTES))
    for (const shift of [1, 2, 4, 4_096, 65_536, 2 ** 18, 2 ** 20]) {
      assert.notDeepEqual(stretch(0, 64), stretch(shift, shift + 64), `${shift}`)
    }
  })

  it('is lines of 1 to 6 and a newline for the tool of the kernel', () => {
    const lines = new Pattern('ncdevmem')
    assert.deepEqual([...lines.view(5, 9)], [6, 10, 1, 2, 3, 4, 5, 6, 10])
    const verifier = new Verifier(lines)
    for (const view of lines.views(3 * PERIOD_BYTES, 2 ** 20)) assert.ok(verifier.check(view))
    assert.equal(verifier.check(lines.view(3 * PERIOD_BYTES + 1, 7)), false)
    assert.equal(verifier.firstWrong, 3 * PERIOD_BYTES)
  })

  it('comes in views of any size', () => {
    fc.assert(
      fc.property(fc.nat(3_000_000), fc.integer({ min: 1, max: 2_000_000 }), (bytes, viewBytes) => {
        const views = [...pattern.views(bytes, viewBytes)]
        assert.equal(Buffer.compare(Buffer.concat(views), stretch(0, bytes)), 0)
      }),
      { numRuns: 30 },
    )
  })
})

describe('the verifier', () => {
  it('finds nothing wrong with the pattern, however it is cut', () => {
    fc.assert(
      fc.property(cuts, (at) => {
        const verifier = verify(chunks(good, at))
        assert.deepEqual([verifier.firstWrong, verifier.bytes], [undefined, length])
      }),
      { numRuns: 30 },
    )
    assert.equal(new Verifier(pattern).check(good), true)
  })

  it('takes shared memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(1_000))
    shared.set(good.subarray(0, 1_000))
    assert.equal(new Verifier(pattern).check(shared), true)
  })

  it('names the byte that was flipped', () => {
    fc.assert(
      fc.property(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), cuts, (at, mask, cut) => {
        const bad = new Uint8Array(good)
        bad[at] = (bad[at] ?? 0) ^ mask
        const verifier = verify(chunks(bad, cut))
        assert.deepEqual([verifier.firstWrong, verifier.bytes], [at, at])
      }),
      { numRuns: 30 },
    )
  })

  it('notices a chunk that is lost, doubled, or swapped with the next', () => {
    const size = 65_536
    const whole = chunks(
      good,
      Array.from({ length: 47 }, (_, i) => (i + 1) * size),
    )
    for (const at of [0, 1, 16, 30]) {
      const [before, here, next, after] = [
        whole.slice(0, at),
        whole.slice(at, at + 1),
        whole.slice(at + 1, at + 2),
        whole.slice(at + 2),
      ]
      const wrong = {
        lost: [...before, ...next, ...after],
        doubled: [...before, ...here, ...here, ...next, ...after],
        swapped: [...before, ...next, ...here, ...after],
      }
      for (const [name, parts] of Object.entries(wrong)) {
        const { firstWrong = -1 } = verify(parts)
        // Random data is right by chance now and then, not for long.
        const expected = name === 'doubled' ? (at + 1) * size : at * size
        assert.ok(firstWrong >= expected && firstWrong < expected + 8, `${name}: ${firstWrong}`)
      }
    }
  })

  it('stays with the first wrong byte', () => {
    const verifier = verify([stretch(0, 10), Uint8Array.of(0, 0, 0, 0), stretch(14, 20)])
    assert.deepEqual([verifier.firstWrong, verifier.check(stretch(10, 14))], [10, false])
  })
})
