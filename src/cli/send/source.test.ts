import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sourceOf } from './source.ts'

const path = fileURLToPath(import.meta.url)

/** Counts the descriptors of this process that are open on this file. */
function openTimes(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false // The descriptor of the listing itself is closed by now.
    }
  }).length
}

for (const views of [0, 1]) {
  test(`a file of which ${views} views were read is closed with its source`, async () => {
    {
      await using source = await sourceOf(path, {})
      assert.equal(openTimes(), 1)
      for await (const view of views === 0 ? [] : source.views) assert.ok(view.byteLength > 0)
    }
    assert.equal(openTimes(), 0)
  })
}
