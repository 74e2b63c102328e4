// The pool beside a plain model of it: fast-check makes up long histories, the model says what
// each step should do, and both are compared after each. What the provider gives is taken from a
// log. Everything else the model knows by itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Exactly, type NetIov, type Netmem, type Page, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { sharedProvider } from '../providers/shared.ts'
import { fc } from '../testing/fast-check.test.helper.ts'
import { testDeviceProvider } from '../testing/index.ts'
import { PoolModel } from '../testing/pool-model.test.helper.ts'
import { assertCode, logged, type ProviderLog } from '../testing/pools.test.helper.ts'
import { rounds } from '../testing/rounds.test.helper.ts'
import { RX_COPYBREAK } from './copies.ts'
import { createFrag } from './create-frag.ts'
import { createPool, dualPool } from './create-pool.ts'
import type { HostFrag } from './frag.ts'
import type { MemoryProvider } from './memory-provider.ts'
import type { PagePool } from './page-pool.ts'

const pageSize = 32 * 1024
const OPERATIONS = rounds(500_000)

/** The pool under test, and the handles and frags that the history has to give back. */
interface Real<M extends Netmem> {
  pool: PagePool<M>
  readonly make: () => PagePool<M>
  readonly log: ProviderLog<M>
  /** The handle of each reference that the history holds. Several may be of one slot. */
  refs: M[]
  frags: { frag: HostFrag; slot: number; at: number; copied: boolean; stamp: number }[]
  /** Handles of earlier uses, and their slots and uses. */
  past: { m: M; slot: number; use: number }[]
  stamps: Map<number, number>
  woken: number
  operations: number
  readonly pages: ((pool: PagePool<M>) => PagePool<Page>) | undefined
}

type Step<M extends Netmem> = fc.Command<PoolModel, Real<M>>

/** A command that is always possible and compares everything when it has run. */
function step<M extends Netmem>(
  name: string,
  run: (model: PoolModel, real: Real<M>) => void,
): Step<M> {
  return {
    check: () => true,
    run: (model, real) => {
      run(model, real)
      assert.deepEqual(real.pool.stats(), model.stats(inFrags(real)))
      assert.equal(real.pool.available, model.available)
      assert.equal(real.pool.out, model.out.size)
      assert.equal(real.woken, model.woken)
      assert.deepEqual(real.log.released, model.releasedSlots)
    },
    toString: () => name,
  }
}

/** An element of a list that is not empty, chosen by any number. */
const pick = (list: readonly unknown[], by: number): number => by % list.length

let stamps = 0

/** Takes one netmem, which must be the one the model says, and writes what only its holder knows. */
function alloc<M extends Netmem>(model: PoolModel, real: Real<M>): boolean {
  real.operations++
  const given = real.log.given.length
  const m = real.pool.alloc()
  const slot = model.alloc(real.log.given.slice(given))
  assert.equal(m === undefined, slot === undefined)
  if (m === undefined || slot === undefined) return false
  assert.equal(real.log.slot(m), slot)
  real.refs.push(m)
  real.stamps.set(slot, ++stamps)
  const bytes = bytesOf(real, m)
  // A word in every 4 KiB, so that each part of the page knows whose it is.
  for (let at = 0; bytes !== undefined && at < pageSize; at += 4096) bytes.writeInt32LE(stamps, at)
  return true
}

function bytesOf<M extends Netmem>(real: Real<M>, m: M): Buffer | undefined {
  const pages = real.pages?.(real.pool)
  if (pages === undefined) return undefined
  const view = pages.bytes(m as unknown as Exactly<Page>)
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

/** Gives one reference back, after a look at whether the memory is still its holder's. */
function put<M extends Netmem>(model: PoolModel, real: Real<M>, at: number, direct: boolean): void {
  real.operations++
  const [m] = real.refs.splice(at, 1)
  assert.ok(m !== undefined)
  const slot = real.log.slot(m)
  const bytes = bytesOf(real, m)
  for (let at = 0; bytes !== undefined && at < pageSize; at += 4096) {
    assert.equal(bytes.readInt32LE(at), real.stamps.get(slot))
  }
  const use = model.use(slot)
  if (model.put(slot, direct)) real.past.push({ m, slot, use })
  real.pool.put(m, direct)
}

/** Slots that frags hold, copies aside. */
function inFrags<M extends Netmem>({ frags }: Real<M>): Set<number> {
  return new Set(frags.filter(({ copied }) => !copied).map(({ slot }) => slot))
}

function checkFrag<M extends Netmem>({ frags }: Real<M>, at: number): void {
  const { frag, at: from, stamp } = frags[at] ?? assert.fail()
  const { buffer, byteOffset, byteLength } = frag.bytes
  assert.equal(byteLength, frag.length)
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  for (let word = Math.ceil(from / 4096) * 4096; word + 4 <= from + byteLength; word += 4096) {
    assert.equal(bytes.readInt32LE(word - from), stamp)
  }
}

function release<M extends Netmem>(model: PoolModel, real: Real<M>, at: number): void {
  real.operations++
  checkFrag(real, at)
  const { frag, slot, copied } = real.frags.splice(at, 1)[0] ?? assert.fail()
  if (copied) model.copyDropped(frag.length)
  else model.put(slot, true)
  frag.release()
  frag.release()
  assertCode('NETMEM_FRAG_RELEASED', () => frag.bytes)
}

function giveAllBack<M extends Netmem>(model: PoolModel, real: Real<M>, by: number): void {
  while (real.refs.length > 0) put(model, real, pick(real.refs, by), by % 2 === 0)
  while (real.frags.length > 0) release(model, real, pick(real.frags, by))
}

const small: fc.Arbitrary<number> = fc.nat({ max: 200 })
const any: fc.Arbitrary<number> = fc.nat()

function steps<M extends Netmem>(): fc.Arbitrary<Step<M>>[] {
  return [
    small.map((n) =>
      step(`alloc ${n + 1}`, (model, real) => {
        for (let i = 0; i <= n && alloc(model, real); i++);
      }),
    ),
    fc.tuple(small, any, fc.boolean()).map(([n, by, direct]) =>
      step(`put ${n + 1}${direct ? '' : ' through the ring'}, from ${by}`, (model, real) => {
        for (let i = 0; i <= n && real.refs.length > 0; i++) {
          put(model, real, pick(real.refs, by), direct)
        }
      }),
    ),
    fc.tuple(any, fc.integer({ min: 1, max: 3 })).map(([by, count]) =>
      step(`retain ${by} ${count} times`, (model, real) => {
        const m = real.refs[pick(real.refs, by)]
        if (m === undefined) return
        real.operations++
        model.retain(real.log.slot(m), count)
        retain(m, count)
        for (let i = 0; i < count; i++) real.refs.push(m)
        assert.equal(real.pool.references(m), model.references(real.log.slot(m)))
      }),
    ),
    any.map((by) =>
      step(`put ${by} once too often`, (model, real) => {
        const past = real.past[pick(real.past, by)]
        const expected = past && model.misuse(past.slot, past.use)
        if (past === undefined || expected === undefined) return
        real.operations++
        assertCode(expected, () => real.pool.put(past.m as Exactly<M>))
      }),
    ),
    any.map((by) =>
      step(`use ${by} over and over`, (model, real) => {
        for (let i = 0; i < by % 700 && model.available > 0; i++) {
          alloc(model, real)
          put(model, real, real.refs.length - 1, i % 3 > 0)
        }
        real.past.splice(0, real.past.length - 300)
      }),
    ),
    fc.constant(
      step('wait', (model, real) => {
        // A pool with memory would call back at the end of the job, in which nothing else happens.
        if (!model.wait()) return
        real.operations++
        real.pool.notify(() => real.woken++)
      }),
    ),
    fc.tuple(any, any, any).map(([by, from, size]) =>
      step(`frag of ${by}`, (model, real) => {
        const pool = real.pages?.(real.pool)
        const [m] = pool === undefined ? [] : real.refs.splice(pick(real.refs, by), 1)
        if (pool === undefined || m === undefined) return
        real.operations++
        const at = from % (pageSize + 1)
        const slot = real.log.slot(m)
        const length = size % (pageSize - at + 1)
        const frag = createFrag(pool, m as unknown as Page, at, length)
        assert.equal(frag.length, length)
        const stamp = real.stamps.get(slot) ?? assert.fail()
        real.frags.push({ frag, slot, at, copied: false, stamp })
        void model
      }),
    ),
    fc.tuple(any, any, any).map(([by, from, size]) =>
      step(`slice of ${by}`, (model, real) => {
        const whole = real.frags[pick(real.frags, by)]
        if (whole === undefined) return
        real.operations++
        const start = from % (whole.frag.length + 1)
        const length = size % (whole.frag.length - start + 1)
        const frag = whole.frag.slice(start, start + length)
        const copied = whole.copied || length <= RX_COPYBREAK
        if (copied) model.copyMade(length)
        else model.retain(whole.slot, 1)
        real.frags.push({ ...whole, frag, copied, at: whole.at + start })
      }),
    ),
    fc.tuple(small, any).map(([n, by]) =>
      step(`release ${n + 1} frags from ${by}`, (model, real) => {
        for (let i = 0; i <= n && real.frags.length > 0; i++) {
          release(model, real, pick(real.frags, by))
        }
      }),
    ),
    any.map((by) =>
      step(`destroy, give back from ${by}, begin again`, (model, real) => {
        const { log } = real
        assert.equal(log.destroys, log.inits - 1)
        model.destroy()
        const out = model.out.size
        void real.pool.destroy()
        assert.equal(log.destroys, out === 0 ? log.inits : log.inits - 1)
        assert.deepEqual([real.pool.out, real.pool.inflight, real.woken], [out, out, model.woken])
        assertCode('NETMEM_POOL_DESTROYED', () => real.pool.alloc())
        giveAllBack(model, real, by)
        assert.deepEqual([real.pool.out, real.pool.inflight], [0, 0])
        assert.deepEqual(real.pool.stats(), model.stats(inFrags(real)))
        assert.equal(log.destroys, log.inits)
        begin(model, real)
      }),
    ),
  ]
}

function begin<M extends Netmem>(model: PoolModel, real: Real<M>): void {
  real.pool = real.make()
  Object.assign(real, { refs: [], frags: [], past: [], woken: 0 })
  real.log.given.length = 0
  real.log.released.length = 0
  model.begin()
}

/** Runs histories until there were enough operations. */
function explore<M extends Netmem>(
  provider: MemoryProvider<M>,
  ringSize: number,
  open: (operations: ReturnType<typeof logged<M>>) => PagePool<M>,
  pages: Real<M>['pages'],
): void {
  let operations = 0
  const { log, ...watched } = logged(provider)
  const setup = (): { model: PoolModel; real: Real<M> } => {
    const make = (): PagePool<M> => open({ log, ...watched })
    log.inits = log.destroys = 0
    const model = new PoolModel(provider.kind, provider.capacity, ringSize, provider.pageSize)
    const fresh = { refs: [], frags: [], past: [], stamps: new Map(), woken: 0, operations: 0 }
    const real: Real<M> = { pool: make(), make, log, pages, ...fresh }
    log.given.length = 0
    log.released.length = 0
    return { model, real }
  }
  const histories = fc.commands(steps<M>(), { maxCommands: 120, size: 'max' })
  const property = fc.property(histories, fc.nat(), (history, by) => {
    const { model, real } = setup()
    let failed = true
    try {
      fc.modelRun(() => ({ model, real }), history)
      giveAllBack(model, real, by)
      failed = false
    } finally {
      operations += real.operations
      void real.pool.destroy()
      if (failed) watched.destroy()
    }
    assert.deepEqual([real.pool.out, real.pool.inflight], [0, 0])
    assert.equal(log.destroys, log.inits)
  })
  // A fixed seed would bring the same histories again and again.
  const { seed } = fc.readConfigureGlobal()
  for (let round = 0; operations < OPERATIONS; round++) {
    fc.assert(property, { numRuns: 20, ...(seed !== undefined && { seed: seed + round }) })
  }
}

test('a pool of pages does what the model says', () => {
  const provider = hostProvider({ pages: 300, pageSize })
  const open = (watched: object) => createPool({ ...provider, ...watched }, { ringSize: 60 })
  explore<Page>(provider, 64, open, (pool) => pool)
})

test('so does one of three pages, whose generations come round again', () => {
  const provider = sharedProvider({ pages: 3, pageSize })
  const open = (watched: object) => createPool({ ...provider, ...watched }, { ringSize: 2 })
  explore<Page>(provider, 2, open, (pool) => pool)
})

test('so does one of net_iovs', () => {
  const provider = testDeviceProvider({ netIovs: 250 })
  const open = (watched: object) => createPool({ ...provider, ...watched }, { ringSize: 16 })
  explore<NetIov>(provider, 16, open, undefined)
})

test('so does a dual pool', () => {
  const provider = testDeviceProvider({ netIovs: 150 })
  const open = (watched: object) => dualPool({ ...provider, ...watched })
  explore<NetIov>(provider, 1024, open as unknown as () => PagePool<NetIov>, undefined)
})
