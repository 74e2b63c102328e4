// Two copies of the package in one thread, as an application gets them through two dependencies.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as core from './index.ts'
import { end, some } from './testing/pools.test.helper.ts'

const hasCode = (code: string) => (error: unknown) =>
  error instanceof Error && Reflect.get(error, 'code') === code

test('the handles of a second copy of the package are foreign, also after its pools are gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-copy-'))
  try {
    const dist = fileURLToPath(new URL('.', import.meta.url))
    for (const part of ['index.js', 'netmem.js', 'errors.js', 'pool', 'providers']) {
      cpSync(join(dist, part), join(folder, part), { recursive: true })
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    const copy: typeof core = await import(pathToFileURL(join(folder, 'index.js')).href)
    assert.notEqual(copy.createPool, core.createPool)
    const layout = { pages: 1, pageSize: 4096 }
    const first = core.createPool(core.hostProvider(layout))
    const second = copy.createPool(copy.hostProvider(layout))
    const ours = some(first.alloc())
    const theirs = some(second.alloc())
    for (const [its, m] of [
      [core, theirs],
      [copy, ours],
    ] as const) {
      assert.throws(() => its.release(m), hasCode('NETMEM_FOREIGN_HANDLE'))
      assert.throws(() => its.retain(m), hasCode('NETMEM_FOREIGN_HANDLE'))
    }
    assert.throws(() => first.put(theirs), hasCode('NETMEM_FOREIGN_HANDLE'))
    assert.throws(() => second.put(ours), hasCode('NETMEM_FOREIGN_HANDLE'))
    copy.release(theirs)
    await end(second)
    // Slots of the copy become this one's, at a later generation.
    const successors = Array.from({ length: 3 }, () => core.createPool(core.hostProvider(layout)))
    const pages = successors.map((pool) => some(pool.alloc()))
    assert.ok(!pages.includes(theirs))
    assert.throws(() => core.release(theirs))
    for (const page of [ours, ...pages]) core.release(page)
    await end(first, ...successors)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
