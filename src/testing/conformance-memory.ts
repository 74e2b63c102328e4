/** The part of the conformance tests that knows what the memory is. */

import assert from 'node:assert/strict'
import type { NetIovProvider, PageProvider } from '../pool/memory-provider.ts'
import { openForTest } from './open-for-test.ts'

/** Pages: exact views of memory that no other page has and that stays where it is. */
export async function testPages(provider: PageProvider): Promise<void> {
  const { pageSize, shared } = provider
  const opened = openForTest(provider)
  await opened.allocAll()
  const view = (slot: number): Uint8Array => provider.bytes(opened.handle(slot))
  const places = new Map<number, number>()
  const offsets = new Map<ArrayBufferLike, number[]>()
  for (const slot of opened.out) {
    const bytes = view(slot)
    assert.equal(bytes.byteLength, pageSize, 'bytes() has exactly pageSize bytes')
    places.set(slot, bytes.byteOffset)
    const others = offsets.get(bytes.buffer)
    if (others === undefined) offsets.set(bytes.buffer, [bytes.byteOffset])
    else others.push(bytes.byteOffset)
    if (shared === undefined) continue
    assert.equal(bytes.buffer, shared.buffer, 'a shared page is in the shared buffer')
    assert.equal(bytes.byteOffset, shared.offset + slot * pageSize, 'pages lie one after the other')
  }
  for (const inOneBuffer of offsets.values()) checkApart(inOneBuffer, pageSize)
  for (const slot of opened.out) view(slot).fill(slot + 1)
  const check = (slot: number): void => {
    const bytes = view(slot)
    assert.equal(bytes.byteOffset, places.get(slot), 'a page stays where it is')
    const stamp = (slot + 1) & 0xff
    assert.ok(
      bytes.at(0) === stamp && bytes.at(-1) === stamp,
      `page ${slot} keeps what was written`,
    )
  }
  for (const slot of opened.out) check(slot)
  // The same after another use of it: the pool keeps views.
  for (const slot of [...opened.out]) opened.release(slot)
  await opened.allocAll()
  for (const slot of opened.out) check(slot)
  opened.close()
}

/** net_iovs: places of a dma-buf that do not overlap and stay. */
export async function testDeviceMemory(provider: NetIovProvider): Promise<void> {
  const opened = openForTest(provider)
  await opened.allocAll()
  const offsets = new Map<number, number>()
  for (const slot of opened.out) offsets.set(slot, provider.offset(opened.handle(slot)))
  for (const offset of offsets.values()) {
    assert.ok(
      Number.isSafeInteger(offset) && offset >= 0,
      `an offset is a byte of it, not ${offset}`,
    )
  }
  checkApart([...offsets.values()], provider.pageSize)
  for (const slot of [...opened.out]) opened.release(slot)
  await opened.allocAll()
  for (const slot of opened.out) {
    assert.equal(provider.offset(opened.handle(slot)), offsets.get(slot), 'a net_iov stays')
  }
  opened.close()
}

function checkApart(offsets: readonly number[], pageSize: number): void {
  let end = 0
  for (const offset of offsets.toSorted((a, b) => a - b)) {
    assert.ok(offset >= end, `the piece at ${offset} overlaps the one before it`)
    end = offset + pageSize
  }
}
