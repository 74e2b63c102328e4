import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeptViews } from './frame-memory.ts'

test('the same part is the same view, wherever the memory lies in its buffer', () => {
  for (const memory of [new Uint8Array(100), new Uint8Array(120).subarray(13, 113)]) {
    const views = new KeptViews(memory)
    const first = views.view(10, 20)
    assert.deepEqual([first.byteOffset, first.length], [memory.byteOffset + 10, 20])
    assert.equal(views.view(10, 20), first)
    assert.notEqual(views.view(10, 21), first)
    for (const [offset, length] of [
      [-1, 2],
      [90, 11],
      [0, Number.NaN],
    ] as const) {
      assert.throws(() => views.view(offset, length), { code: 'NETMEM_OUT_OF_RANGE' })
    }
  }
})

test('nearly all views of a few hundred packets of any size are kept', () => {
  const memory = new Uint8Array(1 << 22)
  for (const stride of [1448, 1460, 2048, 4096, 8948, 9000, 9216, 16384]) {
    const views = new KeptViews(memory)
    const made = new Set<Uint8Array>()
    for (let at = 0; at < 2560; at++) made.add(views.view((at % 256) * stride, 1448))
    assert.ok(made.size < 256 + 10 * 32, `${made.size} views for a stride of ${stride}`)
  }
})
