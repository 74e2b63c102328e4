/**
 * A driver of one's own, of pages alone: it posts pages to one queue of a NIC and delivers what was
 * received. `driverConformance` of netmem/stack/testing proves it.
 */

import type { Page, PagePool } from 'netmem'
import {
  DriverRxRing,
  makeRxRings,
  type NicPort,
  RX_END_OF_PACKET,
  RxCompletion,
  type RxRings,
} from 'netmem/stack'

const ENTRIES = 16
const HEADER_BYTES = 256

export class OwnDriver {
  readonly #nic: NicPort
  readonly #queue: number
  readonly #region: number
  readonly #rings: RxRings
  readonly #pool: PagePool<Page>
  readonly #headers: Page
  readonly #ring: DriverRxRing
  /** What is posted, by its number. */
  readonly #posted = new Map<number, Page>()
  readonly #completion = new RxCompletion()
  // Of a packet that is not complete.
  #pieces: Uint8Array[] = []
  #pages: Page[] = []

  private constructor(nic: NicPort, queue: number, region: number, pool: PagePool<Page>) {
    this.#nic = nic
    this.#queue = queue
    this.#region = region
    this.#pool = pool
    const headers = pool.alloc()
    if (headers === undefined) throw new Error('the pool has no page for headers')
    this.#headers = headers
    const place = { region, offset: pool.bytes(headers).byteOffset, buffers: ENTRIES }
    this.#rings = makeRxRings(ENTRIES, { bytes: HEADER_BYTES, pages: [place] }, nic.doorbell)
    this.#ring = new DriverRxRing(this.#rings)
    this.#refill()
  }

  /** All pages of `pool` lie in `memory`. */
  static async open(
    nic: NicPort,
    queue: number,
    pool: PagePool<Page>,
    memory: SharedArrayBuffer,
  ): Promise<OwnDriver> {
    const driver = new OwnDriver(nic, queue, await nic.mapHost(memory), pool)
    const split = { split: 'headers', splitThresholdBytes: 0 } as const
    try {
      const config = { ...split, boundToDevice: false, coalesce: false }
      await nic.startQueue(queue, driver.#rings, config)
    } catch (error) {
      driver.#giveBack()
      throw error
    }
    return driver
  }

  /** Delivers every packet that is complete: its pieces, and the pages to put when done with them. */
  poll(deliver: (pieces: Uint8Array[], pages: Page[]) => void): void {
    const completion = this.#completion
    while (this.#ring.poll(completion)) {
      const { id, offset, bytes, headerBytes, flags } = completion
      const header = this.#ring.headerBuffer * HEADER_BYTES
      // A copy: the next packet's headers go to the same place.
      if (headerBytes > 0) {
        this.#pieces.push(this.#pool.bytes(this.#headers).slice(header, header + headerBytes))
      }
      const page = this.#posted.get(id)
      if (page !== undefined) {
        this.#posted.delete(id)
        this.#pieces.push(this.#pool.bytes(page).subarray(offset, offset + bytes))
        this.#pages.push(page)
      }
      if ((flags & RX_END_OF_PACKET) === 0) continue
      deliver(this.#pieces, this.#pages)
      this.#pieces = []
      this.#pages = []
    }
    this.#refill()
  }

  async close(): Promise<void> {
    await this.#nic.stopQueue(this.#queue)
    this.#giveBack()
  }

  #refill(): void {
    for (let id = 0; id < ENTRIES; id++) {
      if (this.#posted.has(id)) continue
      const page = this.#pool.alloc()
      if (page === undefined) break
      this.#posted.set(id, page)
      this.#ring.post(id, this.#region, this.#pool.bytes(page).byteOffset, this.#pool.pageSize)
    }
    this.#ring.flush()
  }

  #giveBack(): void {
    for (const page of [...this.#posted.values(), ...this.#pages, this.#headers]) {
      this.#pool.put(page)
    }
    this.#posted.clear()
  }
}
