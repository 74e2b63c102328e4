/** The schedule of ranges, beside a plain model: a list of the ranges that have arrived. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { type Piece, RangeSchedule } from './range-schedule.ts'

type Range = readonly [from: number, to: number]

/** Bytes of `ranges` together, of which no two may share one. */
function bytesOf(ranges: readonly Range[]): number {
  const sorted = [...ranges].sort(([a], [b]) => a - b)
  for (const [i, [, to]] of sorted.entries()) {
    const [next = Number.POSITIVE_INFINITY] = sorted[i + 1] ?? []
    assert.ok(to <= next, `bytes from ${next} on are there once`)
  }
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0)
}

/** The first byte that is in none of `ranges`. */
function firstMissing(ranges: readonly Range[]): number {
  const sorted = [...ranges].sort(([a], [b]) => a - b)
  return sorted.reduce((at, [from, to]) => (from <= at ? Math.max(at, to) : at), 0)
}

const missingOf = ({ from, to, done }: Piece): Range => [from + done, to]

describe('a schedule of ranges', () => {
  it('hands out each byte once, in any order of bytes and retired connections', () => {
    const step = fc.record({
      connection: fc.nat(7),
      share: fc.constantFrom(0, 0.1, 0.5, 1),
      retires: fc.nat(5).map((n) => n === 0),
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 2 ** 30 }),
        fc.nat(),
        fc.integer({ min: 2, max: 8 }),
        fc.array(step, { maxLength: 100 }),
        (bytes, first, most, steps) => {
          const firstEnd = 1 + (first % Math.min(2 ** 20, bytes - 1))
          const schedule = new RangeSchedule(bytes, firstEnd, most)
          const arrived: Range[] = []
          /** The piece of each connection that is at work. */
          const pieces = new Map<number, Piece>()
          const take = (connection: number): void => {
            const piece = schedule.next()
            if (piece === undefined) pieces.delete(connection)
            else pieces.set(connection, piece)
            bytesOf([...arrived, ...[...pieces.values()].map(missingOf)])
          }
          const arrive = (connection: number, piece: Piece, share: number): void => {
            const [from, to] = missingOf(piece)
            const count = Math.ceil((to - from) * share)
            arrived.push([from, from + count])
            schedule.arrived(piece, piece.done + count)
            assert.equal(schedule.arrivedBytes, bytesOf(arrived))
            assert.equal(schedule.position, firstMissing(arrived))
            if (from + count === to) take(connection)
          }
          const { connections } = schedule
          assert.ok(connections >= 2 && connections <= most, `${connections} connections`)
          for (let i = 0; i < connections; i++) take(i)
          assert.deepEqual(missingOf(pieces.get(0) ?? assert.fail('a piece')), [0, firstEnd])
          for (const { connection, share, retires } of steps) {
            const piece = pieces.get(connection)
            if (piece === undefined) continue
            if (!retires) {
              arrive(connection, piece, share)
              continue
            }
            const before = schedule.connections
            const isLast = pieces.size === 1
            assert.equal(schedule.retire(piece), !isLast, 'the last one stays')
            assert.equal(schedule.connections, isLast ? before : before - 1)
            if (!isLast) pieces.delete(connection)
          }
          // The connections that are left finish everything.
          for (let [entry] = pieces; entry !== undefined; [entry] = pieces) arrive(...entry, 1)
          assert.equal(bytesOf(arrived), bytes, 'every byte has arrived')
        },
      ),
      { numRuns: 300 },
    )
  })
})
