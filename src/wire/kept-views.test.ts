import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeptViews } from './kept-views.ts'

test('the same part is the same view, unless it is of other memory', () => {
  const views = new KeptViews()
  const memory = new Uint8Array(100)
  const other = new Uint8Array(100)
  const first = views.view(memory, 10, 20)
  assert.deepEqual([first.byteOffset, first.length], [10, 20])
  assert.equal(views.view(memory, 10, 20), first)
  assert.equal(views.view(memory.subarray(5), 5, 20), first)
  assert.notEqual(views.view(memory, 10, 21), first)
  assert.equal(views.view(other, 10, 20).buffer, other.buffer)
  const again = views.view(other, 10, 20)
  views.forget()
  assert.notEqual(views.view(other, 10, 20), again)
})

test('nearly all views of a few hundred packets are kept, whatever their size', () => {
  const memory = new Uint8Array(1 << 22)
  for (const stride of [1448, 1460, 2048, 4096, 8948, 9000, 9216, 16384]) {
    const views = new KeptViews()
    const made = new Set<Uint8Array>()
    for (let at = 0; at < 2560; at++) made.add(views.view(memory, (at % 256) * stride, 1448))
    assert.ok(made.size < 256 + 10 * 32, `${made.size} views for a stride of ${stride}`)
  }
})
