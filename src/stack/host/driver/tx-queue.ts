/**
 * TX queue of a driver: makes pieces by DMA address of skbs of pages, and frees the skbs once the NIC
 * has read them. It refuses skbs of net_iovs, whose payload no code on this path can read (Linux,
 * skb_frags_readable in validate_xmit_skb).
 */

import { checkInteger, LifetimeError } from '../../../errors.ts'
import { bytesOf, type Page } from '../../../netmem.ts'
import { DeviceError } from '../../device-error.ts'
import { createTxRing, DriverTxRing } from '../../rings/shared-tx-rings.ts'
import { TX_CHECKSUM, TX_END_OF_PACKET } from '../../rings/tx-front-end.ts'
import { unreadable } from '../skb/readable.ts'
import { freedAlready, MAX_SKB_FRAGS, type Skb } from '../skb/skb.ts'
import type { DriverNic } from './driver-nic.ts'
import type { Pollable } from './napi.ts'
import type { QueueOptions } from './queue-options.ts'
import { unlessGone } from './unless-gone.ts'

/** Number of the queue: a driver sends on one. */
const QUEUE = 0

/** Options that a sender needs: the size of its ring, and pages that linear bytes, which are not mapped, are copied to. */
type SenderOptions = Required<Pick<QueueOptions, 'txRingSize' | 'headerPool' | 'headerBytes'>>

export class DriverTxQueue implements Pollable {
  readonly #nic: DriverNic
  readonly #options: SenderOptions
  /** Region of each mapped memory: that of the header pool, and that of frags. */
  readonly #regions: ReadonlyMap<ArrayBufferLike, number>
  readonly #ring: DriverTxRing
  readonly #starting: Promise<void>
  #failure: Error | undefined
  /** Pages that linear bytes are copied to, taken as they are needed. */
  readonly #headerPages: Page[] = []
  readonly #freeHeads: Uint8Array[] = []
  // Posted packets in a ring, the oldest first: skb, and copy of its linear bytes.
  readonly #skbs: (Skb<Page> | undefined)[]
  readonly #heads: Uint8Array[] = []
  #oldest = 0
  #packets = 0
  /** Finished pieces of the oldest packet. */
  #finished = 0
  // DMA addresses of the frags of the packet that is being sent.
  readonly #fragRegions = new Int32Array(MAX_SKB_FRAGS)
  readonly #fragOffsets = new Float64Array(MAX_SKB_FRAGS)

  /**
   * Starts the queue. Packets that are sent before the NIC has started it wait.
   *
   * @throws NETMEM_OUT_OF_RANGE for `txRingSize`.
   */
  constructor(
    nic: DriverNic,
    options: SenderOptions,
    regions: ReadonlyMap<ArrayBufferLike, number>,
  ) {
    this.#nic = nic
    this.#options = options
    this.#regions = regions
    const ring = createTxRing(options.txRingSize, nic.doorbell)
    this.#ring = new DriverTxRing(ring)
    this.#skbs = new Array<Skb<Page> | undefined>(ring.entries).fill(undefined)
    this.#starting = nic.startTxQueue(QUEUE, ring).catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error))
      this.#freeOldest(this.#packets)
    })
  }

  /** Takes over an skb. Returns false, and the skb stays the caller's, while the ring or the header pool has no room. */
  transmit(skb: Skb<Page>): boolean {
    if (skb.kind !== 'page') throw unreadable()
    if (skb.freed) throw freedAlready()
    if (this.#failure !== undefined) throw this.#failure
    const { headLength, fragCount } = skb
    checkInteger('headLength', headLength, 0, this.#options.headerBytes)
    const pieces = fragCount + 1
    // Locate all frags before posting any: one of them may not be mapped.
    this.#locate(skb)
    if (this.#ring.room() < pieces) this.#reap()
    if (this.#ring.room() < pieces) return false
    const head = this.#takeHead()
    if (head === undefined) return false
    // A loop: a view of so few bytes costs more than copying them.
    for (let at = 0; at < headLength; at++) head[at] = skb.head[at] ?? 0
    const last = fragCount === 0 ? TX_END_OF_PACKET : 0
    this.#ring.post(this.#regionOf(head), head.byteOffset, headLength, TX_CHECKSUM | last)
    for (let at = 0; at < fragCount; at++) {
      this.#ring.post(
        this.#fragRegions[at] ?? -1,
        this.#fragOffsets[at] ?? 0,
        skb.lengths[at] ?? 0,
        at + 1 === fragCount ? TX_END_OF_PACKET : 0,
      )
    }
    const entry = (this.#oldest + this.#packets++) % this.#skbs.length
    this.#skbs[entry] = skb
    this.#heads[entry] = head
    this.#ring.flush()
    return true
  }

  /** Frees the skbs that were sent. */
  poll(): number {
    this.#reap()
    return 0
  }

  /** Resolves when a packet was sent. Returns `undefined` if one was already. */
  interrupt(): Promise<unknown> | undefined {
    return this.#ring.interrupt()
  }

  /** Stops the queue and gives all memory back. Packets that were not sent are lost. */
  async close(): Promise<void> {
    const failed = this.#failure !== undefined
    this.#failure ??= queueClosed()
    try {
      await this.#starting
      if (!failed) await unlessGone(this.#nic.stopTxQueue(QUEUE))
    } finally {
      this.#freeOldest(this.#packets)
      for (const page of this.#headerPages.splice(0)) this.#options.headerPool.put(page)
    }
  }

  #reap(): void {
    this.#finished += this.#ring.reap()
    let packets = 0
    while (packets < this.#packets) {
      const skb = this.#skbs[(this.#oldest + packets) % this.#skbs.length]
      const pieces = 1 + (skb?.fragCount ?? 0)
      if (pieces > this.#finished) break
      this.#finished -= pieces
      packets++
    }
    this.#freeOldest(packets)
  }

  #freeOldest(packets: number): void {
    for (let left = packets; left > 0; left--) {
      const entry = this.#oldest
      const skb = this.#skbs[entry]
      const head = this.#heads[entry]
      this.#skbs[entry] = undefined
      if (head !== undefined) this.#freeHeads.push(head)
      this.#oldest = (entry + 1) % this.#skbs.length
      this.#packets--
      // Last, since a callback that waits for memory may send the next packet at once.
      skb?.free()
    }
  }

  #locate(skb: Skb<Page>): void {
    for (let at = 0; at < skb.fragCount; at++) {
      const page = skb.frags[at]
      if (page === undefined) continue
      const bytes = bytesOf(page)
      this.#fragRegions[at] = this.#regionOf(bytes)
      this.#fragOffsets[at] = bytes.byteOffset + (skb.offsets[at] ?? 0)
    }
  }

  #regionOf(bytes: Uint8Array): number {
    const region = this.#regions.get(bytes.buffer)
    if (region !== undefined) return region
    throw new LifetimeError(
      'NETMEM_NOT_SHARED',
      "The NIC does not reach this memory. Send pages of the driver's own pools.",
    )
  }

  /** Returns memory for linear bytes, or `undefined` while there is none. */
  #takeHead(): Uint8Array | undefined {
    if (this.#freeHeads.length === 0) this.#reap()
    if (this.#freeHeads.length === 0) this.#addPage()
    return this.#freeHeads.pop()
  }

  #addPage(): void {
    const { headerPool, headerBytes } = this.#options
    const page = headerPool.destroyed ? undefined : headerPool.alloc()
    if (page === undefined) return
    this.#headerPages.push(page)
    const bytes = headerPool.bytes(page)
    for (let at = 0; at + headerBytes <= bytes.length; at += headerBytes) {
      this.#freeHeads.push(bytes.subarray(at, at + headerBytes))
    }
  }
}

export function queueClosed(): DeviceError {
  return new DeviceError('NETMEM_DEVICE_CLOSED', 'ENODEV', 'The driver is closed; open it again.')
}
