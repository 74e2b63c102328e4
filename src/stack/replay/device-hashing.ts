/**
 * Hashes of device memory, made on the device where the bytes are. Ranges are sent in batches, and
 * their skbs are freed when the device has read them.
 */

import { createHash } from 'node:crypto'
import { placeOf } from '../../netmem.ts'
import type { DeviceHash, DmaBuf } from '../host/device/device-memory.ts'
import type { DeviceThread } from '../host/device/device-thread.ts'
import { copyPayload } from '../host/skb/readable.ts'
import { type AnySkb, MAX_SKB_FRAGS } from '../host/skb/skb.ts'
import type { StreamHash } from './stream-hash.ts'

/** Ranges sent at once. A message costs as much as hashing some KiB. */
const BATCH = 128

/** All hashes of one dma-buf. */
export class DeviceHashing {
  readonly device: DeviceThread
  readonly dmabuf: DmaBuf
  /** Hashes with ranges that have not been sent. */
  readonly #waiting = new Set<DeviceStreamHash>()
  readonly #maxHeld: number
  #held = 0
  #inFlight = 0
  #failure: { readonly error: unknown } | undefined

  /**
   * @param maxHeld limit of the ranges that wait to be sent, of all hashes together. Each of them
   * keeps memory from the NIC.
   */
  constructor(device: DeviceThread, dmabuf: DmaBuf, maxHeld: number) {
    this.device = device
    this.dmabuf = dmabuf
    this.#maxHeld = maxHeld
  }

  make(): StreamHash {
    return new DeviceStreamHash(this)
  }

  /** True while the device is reading ranges, whose memory will be free afterwards. */
  get busy(): boolean {
    return this.#inFlight > 0
  }

  /** Sends all waiting ranges. */
  flush(): void {
    for (const hash of this.#waiting) hash.flush()
  }

  /** Frees the skbs of ranges that were not sent. */
  abandon(): void {
    for (const hash of this.#waiting) hash.abandon()
    this.#waiting.clear()
  }

  /** @throws the error of a failed update: no hash is right after one. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** @internal */
  hold(hash: DeviceStreamHash, ranges: number): void {
    this.#held += ranges
    this.#waiting.add(hash)
    if (this.#held >= this.#maxHeld) this.flush()
  }

  /** @internal Frees the skbs of an update of `ranges` held ranges once it has ended. */
  sent(
    hash: DeviceStreamHash,
    ranges: number,
    update: Promise<void>,
    skbs: readonly AnySkb[],
  ): void {
    this.#held -= ranges
    this.#waiting.delete(hash)
    this.#inFlight++
    const end = (): void => {
      this.#inFlight--
      for (const skb of skbs) skb.free()
    }
    update.then(end, (error: unknown) => {
      this.#failure ??= { error }
      end()
    })
  }
}

class DeviceStreamHash implements StreamHash {
  readonly #all: DeviceHashing
  /** Opened for the first bytes, since most acknowledging directions have no bytes. */
  #hash: Promise<DeviceHash> | undefined
  /** Places and lengths in the dma-buf that were not sent, one behind the other, and the skbs that keep them. */
  readonly #ranges: number[] = []
  readonly #skbs: AnySkb[] = []

  constructor(all: DeviceHashing) {
    this.#all = all
  }

  update(skb: AnySkb): void {
    if (skb.kind === 'page') {
      const bytes = new Uint8Array(skb.payloadLength)
      copyPayload(skb, 0, bytes, 0, bytes.length)
      if (bytes.length > 0) this.#updateBytes(bytes)
      skb.free()
      return
    }
    if (skb.headLength > skb.payloadOffset) {
      this.#updateBytes(skb.head.slice(skb.payloadOffset, skb.headLength))
    }
    if (skb.fragCount === 0) {
      skb.free()
      return
    }
    for (let at = 0; at < skb.fragCount; at++) {
      const iov = skb.frags[at]
      const start = iov === undefined ? 0 : placeOf(iov).offset
      this.#ranges.push(start + (skb.offsets[at] ?? 0), skb.lengths[at] ?? 0)
    }
    this.#skbs.push(skb)
    this.#all.hold(this, skb.fragCount)
    if (this.#ranges.length / 2 + MAX_SKB_FRAGS > BATCH) this.flush()
  }

  async digest(): Promise<string> {
    this.flush()
    if (this.#hash === undefined) return createHash('sha256').digest('hex')
    const hash = await this.#hash
    const result = await hash.digest()
    this.#all.check()
    return result
  }

  flush(): void {
    if (this.#ranges.length === 0) return
    const ranges = Float64Array.from(this.#ranges.splice(0))
    const { dmabuf } = this.#all
    const update = this.#open().then((hash) => hash.update(dmabuf, ranges))
    this.#all.sent(this, ranges.length / 2, update, this.#skbs.splice(0))
  }

  abandon(): void {
    this.#ranges.length = 0
    for (const skb of this.#skbs.splice(0)) skb.free()
  }

  #updateBytes(bytes: Uint8Array): void {
    this.flush()
    const update = this.#open().then((hash) => hash.updateBytes(bytes))
    this.#all.sent(this, 0, update, [])
  }

  #open(): Promise<DeviceHash> {
    this.#hash ??= this.#all.device.openHash()
    return this.#hash
  }
}
