// The guest's memory: what is mapped is found, and nothing else.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ftruncate, memfdCreate, type OwnedFd } from '../linux/sys/index.ts'
import { fc } from '../testing/fast-check.test.helper.ts'
import { DmaMaps, REGION_BYTES } from './dma-maps.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const PAGE = 4096

function fileOf(bytes: number): OwnedFd {
  const file = memfdCreate('netmem-dma', 0)
  ftruncate(file.fd, bytes)
  return file
}

/** Looks an address up as a number and as two words, which find the same. Returns the bytes. */
function bytesAt(maps: DmaMaps, address: number, bytes: number, write: boolean): number {
  const found = maps.locate(address, bytes, write)
  const place = [maps.region, maps.offset]
  const [high, low] = [Math.floor(address / 2 ** 32), address % 2 ** 32]
  assert.equal(maps.locateWords(high, low, bytes, write), found)
  assert.equal(maps.locateWords(high | 0, low | 0, bytes, write), found)
  if (found > 0) assert.deepEqual([maps.region, maps.offset], place)
  return found
}

describe('DmaMaps', { skip }, () => {
  it('finds memory in one piece across maps that touch, and cuts it between regions', () => {
    using file = fileOf(64 * PAGE)
    using maps = new DmaMaps()
    const top = REGION_BYTES - 2 * PAGE
    assert.equal(maps.map(file.fd, 0, PAGE, 0, true), 'done')
    assert.equal(maps.map(file.fd, PAGE, 2 * PAGE, PAGE, true), 'done')
    assert.equal(maps.map(file.fd, top, 4 * PAGE, 8 * PAGE, true), 'done')
    assert.equal(maps.locate(100, 3 * PAGE, true), 3 * PAGE - 100)
    assert.deepEqual([maps.region, maps.offset], [0, 100])
    assert.equal(maps.locate(3 * PAGE, 1, false), 0)
    assert.equal(maps.locate(top + PAGE, 4 * PAGE, true), PAGE)
    assert.deepEqual([maps.region, maps.offset], [0, top + PAGE])
    assert.equal(maps.locate(REGION_BYTES, 4 * PAGE, true), 2 * PAGE)
    assert.deepEqual([maps.region, maps.offset], [1, 0])
    const bytes = Uint8Array.from({ length: 4 * PAGE }, (_, at) => at % 251)
    assert.equal(maps.write(top, bytes), true)
    const back = new Uint8Array(4 * PAGE)
    assert.equal(maps.read(top, back), true)
    assert.deepEqual(back, bytes)
    assert.equal(maps.read(top + 1, back), false)
    assert.equal(maps.regions.length, 2)
  })

  it('finds memory by both words of its address', () => {
    using file = fileOf(PAGE)
    using maps = new DmaMaps()
    const addresses = [1, 2, 3, 4, 7, 2 ** 23 - 1].map((at) => at * REGION_BYTES)
    for (const address of addresses) maps.map(file.fd, address, PAGE, 0, true)
    for (const [index, address] of addresses.entries()) {
      assert.equal(bytesAt(maps, address + 8, PAGE, true), PAGE - 8)
      assert.deepEqual([maps.region, maps.offset], [index, 8])
      assert.equal(bytesAt(maps, address + PAGE, 1, true), 0)
    }
    for (const high of [2 ** 21, 2 ** 30, 2 ** 31, -1]) {
      assert.equal(maps.locateWords(high, REGION_BYTES, 1, true), 0)
    }
  })

  it('keeps a view valid while the firmware moves memory', () => {
    using file = fileOf(8 * PAGE)
    using maps = new DmaMaps()
    maps.map(file.fd, 0, 8 * PAGE, 0, true)
    const [view] = maps.views
    assert.ok(view !== undefined)
    view.setUint8(5 * PAGE, 5)
    assert.equal(maps.unmap(0, 8 * PAGE), 'done')
    assert.equal(maps.locate(0, 1, false), 0)
    assert.equal(view.getUint8(5 * PAGE), 0)
    maps.map(file.fd, 0, 4 * PAGE, 0, true)
    maps.map(undefined, 4 * PAGE, PAGE, 0, true)
    maps.map(file.fd, 5 * PAGE, 3 * PAGE, 5 * PAGE, true)
    assert.equal(view.getUint8(5 * PAGE), 5)
    assert.equal(maps.locate(3 * PAGE, 2 * PAGE, false), PAGE)
    assert.equal(maps.locate(4 * PAGE, 1, false), 0)
  })

  it('does not write where the device may not', () => {
    using file = fileOf(2 * PAGE)
    using maps = new DmaMaps()
    maps.map(file.fd, 0, PAGE, 0, false)
    maps.map(file.fd, PAGE, PAGE, PAGE, true)
    assert.equal(maps.locate(0, 2 * PAGE, false), PAGE)
    assert.equal(maps.locate(0, 1, true), 0)
    assert.equal(maps.write(0, new Uint8Array(1)), false)
    assert.equal(maps.locate(PAGE, 10, true), 10)
  })

  it('refuses ranges that are invalid, overlap, or lie across others', () => {
    using file = fileOf(4 * PAGE)
    using maps = new DmaMaps()
    const invalid: readonly [number, number, number][] = [
      [0, 0, 0],
      [1, PAGE, 0],
      [0, 100, 0],
      [0, PAGE, 1],
      [2 ** 60, PAGE, 0],
      [0, 2 ** 60, 0],
      [2 ** 53 - PAGE, 2 * PAGE, 0],
    ]
    for (const [address, bytes, offset] of invalid) {
      assert.equal(maps.map(file.fd, address, bytes, offset, true), 'invalid')
    }
    assert.equal(maps.map(file.fd, PAGE, 2 * PAGE, 0, true), 'done')
    assert.equal(maps.map(file.fd, 2 * PAGE, PAGE, 0, true), 'exists')
    assert.equal(maps.unmap(PAGE, PAGE), 'invalid')
    assert.equal(maps.unmap(8 * PAGE, PAGE), 'none')
    assert.throws(() => maps.map(file.fd, 8 * PAGE, 8 * PAGE, 0, true), {
      code: 'NETMEM_OUT_OF_RANGE',
    })
    assert.equal(maps.locate(8 * PAGE, 1, false), 0)
    maps.unmapAll()
    assert.equal(maps.locate(PAGE, 1, false), 0)
    for (let n = 0; n < 1024; n++) maps.map(undefined, n * PAGE, PAGE, 0, true)
    assert.equal(maps.map(undefined, 5000 * PAGE, PAGE, 0, true), 'too many')
  })

  it('agrees with a plain model after any maps and unmaps', () => {
    const PAGES = 24
    using file = fileOf(PAGES * PAGE)
    // The addresses lie around the border of two regions.
    const base = REGION_BYTES - 8 * PAGE
    const step = fc.record({
      kind: fc.constantFrom('map', 'map', 'unmap', 'read-only', 'hidden'),
      at: fc.nat(PAGES - 1),
      pages: fc.integer({ min: 1, max: 6 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        using maps = new DmaMaps()
        const owner = new Array<{ id: number; right: string } | undefined>(PAGES).fill(undefined)
        for (const [id, { kind, at, pages }] of steps.entries()) {
          const end = Math.min(at + pages, PAGES)
          const range = owner.slice(at, end)
          const address = base + at * PAGE
          const bytes = (end - at) * PAGE
          const { changes } = maps
          if (kind === 'unmap') {
            const ids = new Set(range.flatMap((each) => (each === undefined ? [] : [each.id])))
            const cut = owner.some(
              (each, page) => each && ids.has(each.id) && (page < at || page >= end),
            )
            const expected = ids.size === 0 ? 'none' : cut ? 'invalid' : 'done'
            assert.equal(maps.unmap(address, bytes), expected)
            assert.equal(maps.changes !== changes, expected === 'done')
            if (expected === 'done') owner.fill(undefined, at, end)
            continue
          }
          const expected = range.some((each) => each !== undefined) ? 'exists' : 'done'
          const fd = kind === 'hidden' ? undefined : file.fd
          assert.equal(maps.map(fd, address, bytes, at * PAGE, kind !== 'read-only'), expected)
          assert.equal(maps.changes !== changes, expected === 'done')
          if (expected === 'done') owner.fill({ id, right: kind }, at, end)
        }
        for (let page = 0; page < PAGES; page++) {
          const address = base + page * PAGE
          const right = owner[page]?.right
          assert.equal(bytesAt(maps, address + 9, 5, true), right === 'map' ? 5 : 0)
          const visible = right === 'map' || right === 'read-only'
          assert.equal(bytesAt(maps, address + 9, 5, false), visible ? 5 : 0)
          if (right === 'map') assert.equal(maps.write(address, Uint8Array.of(page + 1)), true)
        }
        for (let page = 0; page < PAGES; page++) {
          if (owner[page]?.right !== 'map') continue
          const byte = new Uint8Array(1)
          assert.equal(maps.read(base + page * PAGE, byte), true)
          assert.equal(byte[0], page + 1)
        }
      }),
      { numRuns: 50 },
    )
  })
})
