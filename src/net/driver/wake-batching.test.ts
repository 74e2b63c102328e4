import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPool } from '../../pool/create-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import { VirtualClock } from '../../testing/waiting.test.helper.ts'
import { pattern, receiveAll, rejection, ways, withEnds } from '../harness.test.helper.ts'
import { connect, receiveInto } from '../index.ts'
import { LowWaterMark } from './wake-batching.ts'

const MIB = 1024 * 1024
const MARK = 4 * MIB

/** A mark on socket 7, and what it was set to. */
function marked(answer = true): { readonly mark: LowWaterMark; readonly set: number[] } {
  const set: number[] = []
  const mark = new LowWaterMark(
    (fd, bytes) => {
      assert.equal(fd, 7)
      set.push(bytes)
      return answer
    },
    () => 7,
  )
  return { mark, set }
}

/** Longer than a tick of the mark's clock, and shorter than two. */
const TICK_MS = 10

describe('a low-water mark', () => {
  it('is raised for a connection that carries a lot, and taken back when nothing comes', (t) => {
    const clock = new VirtualClock(t)
    const { mark, set } = marked()
    mark.arrived(MARK, Number.POSITIVE_INFINITY)
    assert.deepEqual(set, [], 'not for one read')
    clock.advance(TICK_MS)
    assert.ok(mark.raised)
    mark.arrived(1, Number.POSITIVE_INFINITY)
    clock.advance(TICK_MS)
    assert.ok(mark.raised, 'something came')
    clock.advance(TICK_MS)
    assert.ok(!mark.raised)
    assert.deepEqual(set, [MARK, 1])
    assert.equal(clock.pending, 0, 'an idle connection needs no clock')
    mark.stop()
  })

  it('stays down for one that carries little', (t) => {
    const clock = new VirtualClock(t)
    const { mark, set } = marked()
    for (let i = 0; i < 200; i++) {
      mark.arrived(20_000, Number.POSITIVE_INFINITY)
      clock.advance(1)
    }
    assert.deepEqual(set, [])
    mark.stop()
  })

  it('never exceeds what is sure to come', (t) => {
    const clock = new VirtualClock(t)
    const { mark, set } = marked()
    mark.arrived(MARK, MARK - 1)
    clock.advance(5 * TICK_MS)
    assert.deepEqual(set, [], 'not raised near the end')
    mark.arrived(MARK, MARK)
    clock.advance(TICK_MS)
    assert.ok(mark.raised)
    mark.arrived(MIB, MARK - 1)
    assert.deepEqual([mark.raised, ...set], [false, MARK, 1], 'taken back at once')
    mark.stop()
  })

  it('is not asked for twice where it cannot be had', (t) => {
    const clock = new VirtualClock(t)
    const { mark, set } = marked(false)
    for (let i = 0; i < 5; i++) {
      mark.arrived(MARK, Number.POSITIVE_INFINITY)
      clock.advance(2 * TICK_MS)
    }
    assert.deepEqual([mark.raised, ...set], [false, MARK])
  })

  it('touches no socket once stopped: its number may be another one’s', (t) => {
    const clock = new VirtualClock(t)
    const { mark, set } = marked()
    mark.arrived(MARK, Number.POSITIVE_INFINITY)
    mark.stop()
    mark.arrived(MARK, Number.POSITIVE_INFINITY)
    clock.advance(5 * TICK_MS)
    assert.deepEqual(set, [])
  })
})

for (const way of ways(['tcp4', 'tls'])) {
  it(`a connection asks for it under load, by its descriptor (${way.name})`, async () => {
    const asked: number[] = []
    const wakeBatching = (fd: number, bytes: number): boolean => {
      asked.push(fd)
      assert.ok(bytes === 1 || bytes === MARK)
      return fd >= 0
    }
    await withEnds(
      way,
      async ({ connection, peer }) => {
        for (let i = 0; i < 128; i++) peer.write(pattern(i * 1_000_000, 1_000_000))
        peer.end()
        assert.equal(await receiveAll(connection), 128_000_000)
      },
      { wakeBatching, pageSize: 262_144 },
    )
    if (way.reads === 'data') assert.ok(asked.every((fd) => fd === -1))
    else assert.ok(asked.every((fd) => fd > 2))
  })
}

it('is taken back with the last byte that was asked for', async () => {
  const [way] = ways(['tcp4'], ['posted'])
  assert.ok(way !== undefined)
  let mark = 1
  const wakeBatching = (_: number, bytes: number): boolean => {
    mark = bytes
    return true
  }
  await withEnds(
    way,
    async ({ connection, peer }) => {
      for (let i = 0; i < 128; i++) peer.write(pattern(i * 1_000_000, 1_000_000))
      await receiveInto(connection, new Uint8Array(128_000_000))
      assert.equal(mark, 1)
    },
    { wakeBatching },
  )
})

it('is a function', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  const options = { pool, port: 1, wakeBatching: 5 }
  // @ts-expect-error What JavaScript callers may pass.
  assert.equal(await rejection(connect(options)), 'NETMEM_INVALID_ARGUMENT')
  await pool.destroy()
})
