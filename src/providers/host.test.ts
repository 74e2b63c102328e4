import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { createFrag } from '../pool/create-frag.ts'
import { createPool } from '../pool/create-pool.ts'
import { end, some, take } from '../testing/pools.test.helper.ts'
import { hostProvider } from './host.ts'

const KIB = 1024

test('pages of 64 KiB and more are buffers of their own, and a clone carries one of them', async () => {
  const pool = createPool(hostProvider({ pages: 8, pageSize: 64 * KIB }))
  const pages = take(8, pool)
  for (const [at, page] of pages.entries()) pool.bytes(page).fill(at)
  const frags = pages.map((page) => createFrag(pool, page, 100, 50))
  assert.equal(new Set(frags.map((frag) => frag.bytes.buffer)).size, 8)
  for (const [at, frag] of frags.entries()) {
    const { buffer } = structuredClone(frag.bytes)
    assert.equal(buffer.byteLength, 64 * KIB)
    assert.ok(new Uint8Array(buffer).every((byte) => byte === at))
    frag.release()
  }
  await end(pool)
})

test('smaller pages, and more than 1024, share a buffer', async () => {
  for (const layout of [
    { pages: 4, pageSize: 32 * KIB },
    { pages: 1025, pageSize: 64 * KIB },
  ]) {
    const pool = createPool(hostProvider(layout))
    const page = some(pool.alloc())
    assert.equal(pool.bytes(page).buffer.byteLength, layout.pages * layout.pageSize)
    pool.put(page)
    await end(pool)
  }
})

// The process's addresses are other threads' and modules' as well.
test('a thread has at most 2048 buffers for pages; further pools share one each', async () => {
  const layout = { pages: 1024, pageSize: 64 * KIB }
  const pools = Array.from({ length: 3 }, () => createPool(hostProvider(layout)))
  const pages = pools.map((pool) => some(pool.alloc()))
  const lengths = pools.map((pool, at) => pool.bytes(some(pages[at])).buffer.byteLength)
  assert.equal(lengths.at(-1), 1024 * 64 * KIB)
  for (const [at, pool] of pools.entries()) pool.put(some(pages[at]))
  await end(...pools)
})

test('where the process has no addresses for them, pages share a buffer', (t) => {
  if (process.platform === 'win32') return t.skip('Windows has no ulimit')
  const script = `
    const { createPool, hostProvider } = await import(${JSON.stringify(new URL('../index.js', import.meta.url).href)})
    const pools = [1, 2].map(() => createPool(hostProvider({ pages: 64, pageSize: 65536 })))
    for (const pool of pools) {
      const pages = Array.from({ length: 64 }, () => pool.alloc())
      for (const page of pages) pool.bytes(page).fill(1)
      console.log(pool.bytes(pages[63]).buffer.byteLength)
    }
  `
  // Node itself takes most of it: three or four WebAssembly memories fit beside.
  const limited = 'ulimit -v 40000000 && exec "$0" --input-type=module -e "$1"'
  const { status, stdout, stderr } = spawnSync('sh', ['-c', limited, process.execPath, script], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.deepEqual(stdout.trim().split('\n'), ['4194304', '4194304'])
})
