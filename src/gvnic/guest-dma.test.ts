import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import { GuestDma, GuestPiece } from './guest-dma.ts'
import { GuestRam } from './testing/guest-ram.test.helper.ts'

const REGION_BYTES = 2 ** 15
/** Address of four regions. The border of 4 GiB lies in the middle of the second one. */
const BASE = 2 ** 32 - 1.5 * REGION_BYTES

/** Memory whose first bytes can be unmapped. */
class ChangingRam extends GuestRam {
  override changes = 0
  #from = 0

  /** Unmaps what lies before `from`, and maps the rest. */
  mapFrom(from: number): void {
    this.#from = from
    this.changes++
  }

  override locate(address: number, bytes: number, write: boolean): number {
    return address < this.base + this.#from ? 0 : super.locate(address, bytes, write)
  }
}

test('a cached piece of memory equals what a look-up finds, after any look-ups and changes', () => {
  const atBorder = fc.nat(8).map((border) => border * (REGION_BYTES / 2))
  const step = fc.record({
    at: fc.oneof(fc.integer({ min: -100, max: 4 * REGION_BYTES + 100 }), atBorder),
    bytes: fc.oneof(fc.nat(100), fc.nat(2 * REGION_BYTES)),
    far: fc.constantFrom(0, 0, 0, 1, -1, 2 ** 20),
    mapFrom: fc.option(fc.nat(4 * REGION_BYTES), { freq: 4 }),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const guest = new GuestDma()
      const ram = new ChangingRam({ base: BASE, regionBytes: REGION_BYTES, regions: 4 })
      guest.attach(ram)
      const piece = new GuestPiece(guest, true)
      for (const { at, bytes, far, mapFrom } of steps) {
        if (mapFrom !== null) ram.mapFrom(mapFrom)
        const address = BASE + at
        const high = (Math.floor(address / 2 ** 32) + far) | 0
        const low = address | 0
        piece.refresh()
        const isThere = bytes > 0 && guest.locateWords(high, low, bytes, true) === bytes
        const { region, offset } = guest
        assert.equal(piece.has(high, low, bytes), isThere)
        if (!isThere) continue
        assert.equal(piece.region, region)
        assert.equal(piece.offset + ((low - piece.low) | 0), offset)
      }
    }),
  )
})

test('a piece is known no longer once the guest is gone', () => {
  const guest = new GuestDma()
  guest.attach(new GuestRam({ base: BASE }))
  const piece = new GuestPiece(guest, false)
  assert.equal(piece.has(0, BASE | 0, 8), true)
  guest.detach()
  piece.refresh()
  assert.equal(piece.has(0, BASE | 0, 8), false)
})
