// Frags of a pool's pages, and lending them to workers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { createPool, externalProvider, hostProvider, RX_COPYBREAK, sharedProvider } from 'netmem'
import { take, thrown, turns, until, withPool } from './harness.mjs'
import { attachPool, copiedBytesOut, createFrag, referencesOf, retain } from './names.mjs'

const PAGE = 65_536

function fragOf(pool, ...range) {
  const [page] = take(pool, 1)
  pool.bytes(page).forEach((_, at, bytes) => {
    bytes[at] = at
  })
  return createFrag(pool, page, ...range)
}

test('a frag shows its bytes, and nothing after its release', () =>
  withPool((pool) => {
    const frag = fragOf(pool, 100, 50)
    assert.deepEqual([frag.kind, frag.length, frag.bytes.length], ['page', 50, 50])
    assert.equal(frag.bytes[0], 100)
    assert.deepEqual([pool.stats().handles, pool.out], [0, 1])
    frag.release()
    frag.release()
    for (const use of [() => frag.bytes, () => frag.copy(), () => frag.slice()]) {
      assert.equal(thrown(use), 'NETMEM_FRAG_RELEASED')
    }
    assert.equal(pool.out, 0)
  }))

test('a frag is disposable', () =>
  withPool((pool) => {
    const frag = fragOf(pool)
    assert.equal(frag.length, PAGE)
    frag[Symbol.dispose]()
    assert.equal(pool.out, 0)
  }))

test('a copy has memory of its own, and outlives the frag', () =>
  withPool((pool) => {
    const frag = fragOf(pool, 8, 100)
    const copy = frag.copy()
    assert.deepEqual([copy.buffer.byteLength, copy.byteOffset], [100, 0])
    frag.bytes.fill(0)
    frag.release()
    assert.equal(copy[0], 8)
    structuredClone(copy, { transfer: [copy.buffer] })
  }))

for (const [name, length, pins] of [
  ['a small part is copied and does not pin the page', 100, false],
  ['a part of RX_COPYBREAK bytes is copied', RX_COPYBREAK, false],
  ['a larger part holds the page', RX_COPYBREAK + 1, true],
]) {
  test(`slice: ${name}`, () =>
    withPool((pool) => {
      const frag = fragOf(pool)
      const part = frag.slice(10, 10 + length)
      frag.release()
      assert.deepEqual([part.length, part.bytes[0]], [length, 10])
      assert.deepEqual([pool.out === 1, copiedBytesOut(pool) > 0], [pins, !pins])
      const inner = part.slice(1, 3)
      part.release()
      assert.deepEqual([...inner.bytes], [11, 12])
      inner.release()
    }))
}

test('slice: the defaults are the whole, and ranges are checked', () =>
  withPool((pool) => {
    const frag = fragOf(pool, 0, 30_000)
    const whole = frag.slice()
    assert.equal(whole.length, 30_000)
    for (const range of [
      [-1, 1],
      [0, 30_001],
      [2, 1],
      [0.5, 1],
    ]) {
      assert.equal(
        thrown(() => frag.slice(...range)),
        'NETMEM_OUT_OF_RANGE',
        range.join(),
      )
    }
    whole.release()
    frag.release()
  }))

test('several frags of one page, each with a reference', () =>
  withPool((pool) => {
    const [page] = take(pool, 1)
    retain(pool, page, 2)
    const frags = [0, 1, 2].map((n) => createFrag(pool, page, n * 100, 100))
    for (const [released, frag] of frags.entries()) {
      assert.equal(referencesOf(pool, page), 3 - released)
      frag.release()
    }
    assert.equal(pool.out, 0)
  }))

test('a frag is made of a page that is out, and inside it', () =>
  withPool((pool) => {
    const [page] = take(pool, 1)
    for (const range of [
      [-1, 1],
      [0, PAGE + 1],
      [PAGE, 1],
    ]) {
      assert.equal(
        thrown(() => createFrag(pool, page, ...range)),
        'NETMEM_OUT_OF_RANGE',
      )
    }
    pool.put(page)
    assert.equal(
      thrown(() => createFrag(pool, page, 0, 1)),
      'NETMEM_DOUBLE_PUT',
    )
    assert.equal(
      thrown(() => createFrag(pool, 'page', 0, 1)),
      'NETMEM_WRONG_KIND',
    )
  }))

test('memory that moved away: the frag says so, and can be released', async () => {
  const memory = new ArrayBuffer(PAGE)
  const pool = createPool(externalProvider(memory, { pageSize: PAGE }))
  const frag = fragOf(pool)
  structuredClone(memory, { transfer: [memory] })
  assert.equal(
    thrown(() => frag.bytes),
    'NETMEM_DESTINATION_DETACHED',
  )
  frag.release()
  await pool.destroy()
})

test('pages cannot be transferred', () =>
  withPool((pool) => {
    const frag = fragOf(pool)
    const { buffer } = frag.bytes
    // Some versions of Node.js throw, others copy instead.
    try {
      structuredClone(buffer, { transfer: [buffer] })
    } catch {}
    assert.equal(frag.bytes.length, PAGE)
    frag.release()
  }))

/** A worker that reads each frag it is lent, answers with its sum, and releases it unless told to keep it. */
const names = new URL('names.mjs', import.meta.url).href
const borrower = `
const { parentPort, workerData } = require('node:worker_threads')
import('${names}').then(({ attachPool }) => {
  const pool = attachPool(workerData)
  const kept = []
  parentPort.on('message', ({ lent, keep }) => {
    try {
      const frag = pool.receive(lent)
      const sum = frag.bytes.reduce((all, byte) => all + byte, 0)
      if (keep) kept.push(frag)
      else frag.release()
      parentPort.postMessage({ sum, length: frag.length })
    } catch (error) {
      parentPort.postMessage({ code: error.code })
    }
  })
  parentPort.postMessage('ready')
})`

async function withWorker(pool, body, options) {
  const worker = new Worker(borrower, { eval: true, workerData: pool.share(options) })
  const answers = []
  let taken = 0
  worker.on('message', (answer) => answers.push(answer))
  const answer = async () => {
    await until(() => answers.length > taken)
    return answers[taken++]
  }
  assert.equal(await answer(), 'ready')
  try {
    return await body(worker, answer)
  } finally {
    await worker.terminate()
  }
}

const shared = (pages) => ({ provider: sharedProvider({ pages, pageSize: PAGE }) })

test('lend: a worker reads in place and gives back', () =>
  withPool(
    (pool) =>
      withWorker(pool, async (worker, answer) => {
        for (let round = 0; round < 10; round++) {
          const frag = fragOf(pool, 1, 20_000 + round)
          const expected = frag.bytes.reduce((all, byte) => all + byte, 0)
          worker.postMessage({ lent: frag.lend(worker) })
          assert.equal(
            thrown(() => frag.bytes),
            'NETMEM_FRAG_RELEASED',
          )
          assert.deepEqual(await answer(), { sum: expected, length: 20_000 + round })
          await until(() => pool.available === 1)
        }
      }),
    shared(1),
  ))

test('lend: what comes back wakes a pool that is dry', () =>
  withPool(
    (pool) =>
      withWorker(pool, async (worker, answer) => {
        const lent = fragOf(pool).lend(worker)
        const available = pool.whenAvailable()
        worker.postMessage({ lent })
        await available
        await answer()
      }),
    shared(1),
  ))

test('lend: a second receive of one loan is refused', () =>
  withPool(
    (pool) =>
      withWorker(pool, async (worker, answer) => {
        const lent = fragOf(pool).lend(worker)
        worker.postMessage({ lent })
        assert.equal((await answer()).length, PAGE)
        worker.postMessage({ lent })
        assert.deepEqual(await answer(), { code: 'NETMEM_STALE_HANDLE' })
        await until(() => pool.out === 0)
      }),
    shared(2),
  ))

test('lend: as many as the pool was shared for', () =>
  withPool(
    (pool) =>
      withWorker(
        pool,
        async (worker, answer) => {
          const lent = fragOf(pool).lend(worker)
          const frag = fragOf(pool)
          assert.equal(frag.lend(worker), undefined)
          assert.equal(frag.bytes.length, PAGE)
          frag.release()
          worker.postMessage({ lent })
          await answer()
          await until(() => pool.out === 0)
        },
        { lends: 1 },
      ),
    shared(2),
  ))

test('lend: what a worker holds when it ends comes back', () =>
  withPool(async (pool) => {
    await withWorker(pool, async (worker, answer) => {
      worker.postMessage({ lent: fragOf(pool).lend(worker), keep: true })
      await answer()
      await turns(10)
      assert.equal(pool.out, 1)
    })
    await until(() => pool.out === 0)
    assert.equal(pool.stats().recycle.released_refcnt, 1)
  }, shared(2)))

test('lend: copies travel with the message', () =>
  withPool(
    (pool) =>
      withWorker(pool, async (worker, answer) => {
        const frag = fragOf(pool)
        const part = frag.slice(0, 4)
        frag.release()
        worker.postMessage({ lent: part.lend(worker) })
        assert.deepEqual(await answer(), { sum: 6, length: 4 })
      }),
    shared(1),
  ))

test('lend and share: refused where threads cannot share', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  assert.equal(
    thrown(() => pool.share()),
    'NETMEM_NOT_SHARED',
  )
  const unshared = createPool(sharedProvider({ pages: 1, pageSize: PAGE }))
  const frag = fragOf(unshared)
  assert.equal(
    thrown(() => frag.lend({ once: () => {} })),
    'NETMEM_NOT_SHARED',
  )
  frag.release()
  assert.equal(
    thrown(() => attachPool({})),
    'NETMEM_INVALID_ARGUMENT',
  )
  await Promise.all([pool.destroy(), unshared.destroy()])
})
