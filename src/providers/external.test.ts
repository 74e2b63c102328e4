// Memory that its owner takes away while a pool has it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from '../netmem.ts'
import { createFrag } from '../pool/create-frag.ts'
import { createPool } from '../pool/create-pool.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { assertCode, end, some } from '../testing/pools.test.helper.ts'
import { resizable } from '../testing/resizable.test.helper.ts'
import { externalProvider } from './external.ts'

// Node.js has it, but its types lack it.
declare const WebAssembly: {
  Memory: new (size: {
    initial: number
  }) => { readonly buffer: ArrayBuffer; grow(units: number): number }
}

const pageSize = 4096

function poolOver(memory: Parameters<typeof externalProvider>[0]): PagePool<Page> {
  return createPool(externalProvider(memory, { pageSize }))
}

/** Fails unless pages and frags end in an error with a code after `takeAway` has taken the memory. */
async function endsInError(pool: PagePool<Page>, takeAway: () => void): Promise<void> {
  const [seen, unseen] = [some(pool.alloc()), some(pool.alloc())]
  const frag = createFrag(pool, seen, 0, 100)
  assert.equal(frag.bytes.byteLength, 100)
  takeAway()
  for (const look of [
    () => pool.bytes(seen),
    () => pool.bytes(unseen),
    () => frag.bytes,
    () => frag.copy(),
    () => frag.slice(),
  ]) {
    assertCode('NETMEM_DESTINATION_DETACHED', look)
  }
  frag.release()
  pool.put(unseen)
  await end(pool)
}

test('memory stays its owner’s: it can be transferred, and the pool says so', async () => {
  for (const wrap of [
    (buffer: ArrayBuffer) => buffer,
    (buffer: ArrayBuffer) => new Uint8Array(buffer),
    (buffer: ArrayBuffer) => ({ buffer }),
  ]) {
    const memory = new ArrayBuffer(2 * pageSize)
    await endsInError(poolOver(wrap(memory)), () => {
      assert.equal(structuredClone(memory, { transfer: [memory] }).byteLength, 2 * pageSize)
    })
  }
})

test('memory that has been shrunk is no page any more', async () => {
  for (const left of [0, 50]) {
    const memory = resizable(2 * pageSize)
    await endsInError(poolOver(memory), () => memory.resize(left))
  }
})

test('the buffer of a WebAssembly.Memory, passed without it, is gone when that grows', async () => {
  const memory = new WebAssembly.Memory({ initial: 1 })
  await endsInError(poolOver(memory.buffer), () => void memory.grow(1))
})

test('what has no buffer any more has no bytes', async () => {
  const source: { buffer: ArrayBuffer } = { buffer: new ArrayBuffer(2 * pageSize) }
  const pool = poolOver(source)
  const page = some(pool.alloc())
  Reflect.set(source, 'buffer', undefined)
  assertCode('NETMEM_DESTINATION_DETACHED', () => pool.bytes(page))
  pool.put(page)
  await end(pool)
})

test('memory that is gone can be given back, and its pool destroyed', async () => {
  const memory = new ArrayBuffer(2 * pageSize)
  const pool = poolOver(memory)
  const page = some(pool.alloc())
  structuredClone(memory, { transfer: [memory] })
  pool.put(page)
  assert.equal(pool.available, 2)
  await end(pool)
})
