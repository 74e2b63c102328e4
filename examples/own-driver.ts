/**
 * A driver of pages, written by hand: it posts pages to one queue of a NIC and delivers what was
 * received. `driverConformance` of netmem/stack/testing proves it.
 */

import type { Page, PagePool } from 'netmem'
import type { DriverNic } from 'netmem/stack'
import { createRxRings, DriverRxRing, RX_END_OF_PACKET, RxCompletion } from 'netmem/stack/rings'

const ENTRIES = 16
const HEADER_BYTES = 256
const SPLIT = { split: 'headers', splitThresholdBytes: 0, coalesce: false } as const

export class OwnDriver {
  readonly #pool: PagePool<Page>
  readonly #region: number
  /** One page has all header buffers. */
  readonly #headers: Page
  readonly #ring: DriverRxRing
  readonly #completion = new RxCompletion()
  /** Posted pages by their number. */
  readonly #posted = new Map<number, Page>()
  #stop = (): Promise<void> => Promise.resolve()

  /** Starts a queue with a pool whose pages lie in `memory`. */
  static async open(
    nic: DriverNic,
    queue: number,
    pool: PagePool<Page>,
    memory: SharedArrayBuffer,
  ): Promise<OwnDriver> {
    const headers = pool.alloc()
    if (headers === undefined) throw new Error('the pool has no page for headers')
    const region = await nic.mapHost(memory)
    const place = { region, offset: pool.bytes(headers).byteOffset, buffers: ENTRIES }
    const rings = createRxRings(ENTRIES, { bytes: HEADER_BYTES, pages: [place] }, nic.doorbell)
    const driver = new OwnDriver(pool, region, headers, new DriverRxRing(rings))
    try {
      await nic.startQueue(queue, rings, { ...SPLIT, boundToDevice: false })
    } catch (error) {
      await driver.close()
      throw error
    }
    driver.#stop = () => nic.stopQueue(queue)
    return driver
  }

  private constructor(pool: PagePool<Page>, region: number, headers: Page, ring: DriverRxRing) {
    this.#pool = pool
    this.#region = region
    this.#headers = headers
    this.#ring = ring
    this.#refill()
  }

  /** Delivers every packet: its pieces, and the pages to put when done with them. */
  poll(deliver: (pieces: Uint8Array[], pages: Page[]) => void): void {
    let pieces: Uint8Array[] = []
    let pages: Page[] = []
    while (this.#ring.poll(this.#completion)) {
      const { id, offset, bytes, headerBytes, flags } = this.#completion
      const at = this.#ring.headerBuffer * HEADER_BYTES
      // A copy: the next packet's headers go to the same place.
      if (headerBytes > 0) pieces.push(this.#pool.bytes(this.#headers).slice(at, at + headerBytes))
      const page = this.#posted.get(id)
      if (page !== undefined && this.#posted.delete(id)) {
        pieces.push(this.#pool.bytes(page).subarray(offset, offset + bytes))
        pages.push(page)
      }
      if ((flags & RX_END_OF_PACKET) === 0) continue
      deliver(pieces, pages)
      pieces = []
      pages = []
    }
    this.#refill()
  }

  async close(): Promise<void> {
    await this.#stop()
    for (const page of [...this.#posted.values(), this.#headers]) this.#pool.put(page)
  }

  #refill(): void {
    for (let id = 0; id < ENTRIES; id++) {
      const page = this.#posted.has(id) ? undefined : this.#pool.alloc()
      if (page === undefined) continue
      this.#posted.set(id, page)
      this.#ring.post(id, this.#region, this.#pool.bytes(page).byteOffset, this.#pool.pageSize)
    }
    this.#ring.flush()
  }
}
