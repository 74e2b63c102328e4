// The core needs an engine and nothing else.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import * as core from './index.ts'
import { end, some } from './testing/pools.test.helper.ts'

test('the core runs where there is no Node', () => {
  // Links the compiled core in a context that has the language, queueMicrotask, and no more.
  const script = `
    import { readFileSync } from 'node:fs'
    import vm from 'node:vm'
    const context = vm.createContext({ queueMicrotask })
    const modules = new Map()
    const load = (url) => {
      if (!modules.has(url)) {
        const options = { context, identifier: url }
        modules.set(url, new vm.SourceTextModule(readFileSync(new URL(url), 'utf8'), options))
      }
      return modules.get(url)
    }
    const link = (specifier, { identifier }) => {
      if (!/^\\.\\.?\\//.test(specifier)) throw new Error(identifier + ' imports ' + specifier)
      return load(new URL(specifier, identifier).href)
    }
    const entry = load(${JSON.stringify(new URL('index.js', import.meta.url).href)})
    await entry.link(link)
    await entry.evaluate()
    context.core = entry.namespace
    const results = vm.runInContext(\`(async () => {
      const { createPool, hostProvider, sharedProvider, createFrag, attachPool, isPage } = core
      const results = []
      for (const provider of [hostProvider({ pages: 4 }), sharedProvider({ pages: 4 })]) {
        const pool = createPool(provider)
        const pages = [pool.alloc(), pool.alloc(), pool.alloc(), pool.alloc()]
        const woken = pool.whenAvailable()
        pool.bytes(pages[0]).fill(7)
        const frag = createFrag(pool, pages[0])
        results.push(frag.bytes[100])
        frag.release()
        await woken
        for (const page of pages.slice(1)) pool.put(page)
        results.push(isPage(pages[0]), pool.out)
        try { pool.put(pages[1]) } catch (error) { results.push(error.code) }
        await pool.destroy()
        results.push(pool.inflight, typeof process, typeof Buffer, typeof setTimeout)
      }
      const shared = createPool(sharedProvider({ pages: 1 }))
      const lent = attachPool(shared.share()).receive(
        createFrag(shared, shared.alloc()).lend({ once() {} }),
      )
      lent.release()
      results.push(shared.available)
      await shared.destroy()
      return JSON.stringify(results)
    })()\`, context)
    console.log(JSON.stringify({ modules: modules.size }), await results)
  `
  const flags = ['--experimental-vm-modules', '--no-warnings', '--input-type=module']
  const child = spawnSync(process.execPath, [...flags, '-e', script], { encoding: 'utf8' })
  assert.equal(child.stderr, '')
  const [loaded = '', results = ''] = child.stdout.trim().split(' ')
  assert.ok(JSON.parse(loaded).modules > 10)
  const each = [7, true, 0, 'NETMEM_DOUBLE_PUT', 0, 'undefined', 'undefined', 'undefined']
  assert.deepEqual(JSON.parse(results), [...each, ...each, 1])
})

test('the face of netmem is what it says, and no more', () => {
  const names = [
    'ArgumentRangeError',
    'ArgumentTypeError',
    'ConnectionError',
    'HandleError',
    'LifetimeError',
    'NetmemError',
    'RX_COPYBREAK',
    'attachPool',
    'createFrag',
    'createPool',
    'createSlotAllocator',
    'dualPool',
    'externalProvider',
    'hostProvider',
    'isNetIov',
    'isNetmemError',
    'isPage',
    'pools',
    'release',
    'retain',
    'sharedProvider',
  ]
  assert.deepEqual(Object.keys(core).toSorted(), names)
})

test('the first steps of the documentation work', async () => {
  const pool = core.createPool(core.hostProvider({ pages: 64, pageSize: 256 * 1024 }))
  const page = some(pool.alloc())
  pool.bytes(page).fill(0)
  pool.put(page)
  await end(pool)
})
