/** Regions of a device as QEMU reads and writes them: BARs, interrupts' BAR and configuration space. */

import {
  PCI_BARS,
  PCI_CONFIG_REGION,
  REGION_INFO_READ,
  REGION_INFO_WRITE,
} from '../wire/vfio-user.ts'
import { barSizes, CONFIG_BYTES, ConfigSpace, msixLayout } from './config-space.ts'
import type { MsixVectors } from './msix-vectors.ts'
import type { AccessBytes, PciDevice } from './pci-device.ts'

export class Regions {
  readonly #device: PciDevice
  readonly #vectors: MsixVectors
  readonly #config: ConfigSpace
  readonly #bars: readonly number[]
  readonly #msixBar: number
  readonly #pendingAt: number

  constructor(device: PciDevice, vectors: MsixVectors) {
    this.#device = device
    this.#vectors = vectors
    this.#config = new ConfigSpace(device)
    this.#bars = barSizes(device)
    this.#msixBar = device.msix.bar
    this.#pendingAt = msixLayout(device.msix.vectors).pendingAt
  }

  /** Returns the size of a region, 0 for an absent one. */
  bytes(region: number): number {
    if (region === PCI_CONFIG_REGION) return CONFIG_BYTES
    return region < PCI_BARS ? (this.#bars[region] ?? 0) : 0
  }

  /** Returns the flags of a region's information. */
  flags(region: number): number {
    return this.bytes(region) > 0 ? REGION_INFO_READ | REGION_INFO_WRITE : 0
  }

  /** True if the region has all of these bytes. */
  has(region: number, offset: number, bytes: number): boolean {
    return offset + bytes <= this.bytes(region)
  }

  /** Drops what the guest has written to the configuration space. */
  reset(): void {
    this.#config.reset()
  }

  /** Reads bytes that the region has into `target`. */
  read(region: number, offset: number, target: DataView, at: number, bytes: number): void {
    let done = 0
    while (done < bytes) {
      const from = offset + done
      if (region === PCI_CONFIG_REGION || region === this.#msixBar) {
        const value =
          region === PCI_CONFIG_REGION ? this.#config.read(from) : this.#interruptByte(from)
        target.setUint8(at + done, value)
        done += 1
        continue
      }
      const access = accessAt(from, bytes - done)
      const value = this.#device.read(region, from, access)
      if (access === 4) target.setUint32(at + done, value, true)
      else if (access === 2) target.setUint16(at + done, value, true)
      else target.setUint8(at + done, value)
      done += access
    }
  }

  /** Writes bytes that the region has from `source`. */
  write(region: number, offset: number, source: DataView, at: number, bytes: number): void {
    // QEMU keeps the table of interrupts itself.
    if (region === this.#msixBar) return
    let done = 0
    while (done < bytes) {
      const to = offset + done
      if (region === PCI_CONFIG_REGION) {
        this.#config.write(to, source.getUint8(at + done))
        done += 1
        continue
      }
      const access = accessAt(to, bytes - done)
      const value =
        access === 4
          ? source.getUint32(at + done, true)
          : access === 2
            ? source.getUint16(at + done, true)
            : source.getUint8(at + done)
      this.#device.write(region, to, access, value)
      done += access
    }
  }

  #interruptByte(at: number): number {
    return at < this.#pendingAt ? 0 : this.#vectors.pendingByte(at - this.#pendingAt)
  }
}

/** Returns the longest access at an offset that is a multiple of it. */
function accessAt(offset: number, left: number): AccessBytes {
  if (left >= 4 && (offset & 3) === 0) return 4
  return left >= 2 && (offset & 1) === 0 ? 2 : 1
}
