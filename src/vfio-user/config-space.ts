/** Configuration space of a PCI device with one capability, MSI-X. Its BARs are memory of 32 bits. */

import { ArgumentRangeError, checkInteger } from '../errors.ts'
import { PCI_BARS } from '../wire/vfio-user.ts'
import type { PciDevice } from './pci-device.ts'

export const CONFIG_BYTES = 256

// K: include/uapi/linux/pci_regs.h
const PCI_VENDOR_ID = 0x00
const PCI_DEVICE_ID = 0x02
const PCI_COMMAND = 0x04
/** Memory accesses, bus mastering, no INTx. */
const PCI_COMMAND_WRITABLE = 0x0406
const PCI_STATUS = 0x06
const PCI_STATUS_CAP_LIST = 0x10
const PCI_REVISION_ID = 0x08
const PCI_CLASS = 0x09
const PCI_CACHE_LINE_SIZE = 0x0c
const PCI_BASE_ADDRESS_0 = 0x10
const PCI_SUBSYSTEM_VENDOR_ID = 0x2c
const PCI_SUBSYSTEM_ID = 0x2e
const PCI_CAPABILITY_LIST = 0x34
const PCI_INTERRUPT_LINE = 0x3c
const PCI_CAP_ID_MSIX = 0x11
const PCI_MSIX_FLAGS = 2
/** Enabled, and all vectors masked. */
const PCI_MSIX_FLAGS_WRITABLE = 0xc000
const PCI_MSIX_TABLE = 4
const PCI_MSIX_PBA = 8
const PCI_MSIX_ENTRY_BYTES = 16

/** Place of the capability. */
const MSIX_AT = 0x40
const MIN_BAR_BYTES = 4096
const MAX_BAR_BYTES = 2 ** 30
const MAX_VECTORS = 2048

/** Places of a device's interrupts in their BAR. */
export interface MsixLayout {
  /** Byte where the bits of pending vectors begin, behind the table. */
  readonly pendingAt: number
  /** Bytes of the BAR. */
  readonly barBytes: number
}

/** Returns where the table and the pending bits lie in the BAR for that many vectors. */
export function msixLayout(vectors: number): MsixLayout {
  let pendingAt = MIN_BAR_BYTES / 2
  while (pendingAt < vectors * PCI_MSIX_ENTRY_BYTES) pendingAt *= 2
  return { pendingAt, barBytes: 2 * pendingAt }
}

/**
 * Returns the size of each BAR, 0 for absent ones.
 *
 * @throws NETMEM_OUT_OF_RANGE for an impossible device, such as one with two BARs of the same number.
 */
export function barSizes({ bars, msix }: PciDevice): number[] {
  const sizes = new Array<number>(PCI_BARS).fill(0)
  checkInteger('msix.bar', msix.bar, 0, PCI_BARS - 1)
  checkInteger('msix.vectors', msix.vectors, 1, MAX_VECTORS)
  sizes[msix.bar] = msixLayout(msix.vectors).barBytes
  for (const { index, bytes } of bars) {
    checkInteger('index of a BAR', index, 0, PCI_BARS - 1)
    checkInteger('bytes of a BAR', bytes, MIN_BAR_BYTES, MAX_BAR_BYTES)
    if ((bytes & (bytes - 1)) === 0 && sizes[index] === 0) {
      sizes[index] = bytes
      continue
    }
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `BAR ${index} of the device has ${bytes} bytes: give each BAR a power of two, and a number that no other BAR has.`,
    )
  }
  return sizes
}

/** Registers of the configuration space, and which of their bits the guest may write. */
export class ConfigSpace {
  readonly #initial = new Uint8Array(CONFIG_BYTES)
  readonly #bytes = new Uint8Array(CONFIG_BYTES)
  readonly #writable = new Uint8Array(CONFIG_BYTES)

  constructor(device: PciDevice) {
    const { identity, msix } = device
    const sizes = barSizes(device)
    const view = new DataView(this.#initial.buffer)
    const mask = new DataView(this.#writable.buffer)
    const { vendorId, deviceId, classCode, revision = 0 } = identity
    const { subsystemVendorId = vendorId, subsystemId = deviceId } = identity
    view.setUint16(PCI_VENDOR_ID, checkInteger('vendorId', vendorId, 0, 0xffff), true)
    view.setUint16(PCI_DEVICE_ID, checkInteger('deviceId', deviceId, 0, 0xffff), true)
    view.setUint8(PCI_REVISION_ID, checkInteger('revision', revision, 0, 0xff))
    checkInteger('classCode', classCode, 0, 0xffffff)
    view.setUint8(PCI_CLASS, classCode & 0xff)
    view.setUint16(PCI_CLASS + 1, classCode >>> 8, true)
    checkInteger('subsystemVendorId', subsystemVendorId, 0, 0xffff)
    view.setUint16(PCI_SUBSYSTEM_VENDOR_ID, subsystemVendorId, true)
    checkInteger('subsystemId', subsystemId, 0, 0xffff)
    view.setUint16(PCI_SUBSYSTEM_ID, subsystemId, true)
    view.setUint16(PCI_STATUS, PCI_STATUS_CAP_LIST, true)
    view.setUint8(PCI_CAPABILITY_LIST, MSIX_AT)
    view.setUint8(MSIX_AT, PCI_CAP_ID_MSIX)
    view.setUint16(MSIX_AT + PCI_MSIX_FLAGS, msix.vectors - 1, true)
    view.setUint32(MSIX_AT + PCI_MSIX_TABLE, msix.bar, true)
    view.setUint32(MSIX_AT + PCI_MSIX_PBA, msixLayout(msix.vectors).pendingAt | msix.bar, true)
    mask.setUint16(PCI_COMMAND, PCI_COMMAND_WRITABLE, true)
    mask.setUint16(PCI_CACHE_LINE_SIZE, 0xffff, true)
    mask.setUint8(PCI_INTERRUPT_LINE, 0xff)
    mask.setUint16(MSIX_AT + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_WRITABLE, true)
    for (const [index, bytes] of sizes.entries()) {
      if (bytes > 0) mask.setUint32(PCI_BASE_ADDRESS_0 + 4 * index, -bytes, true)
    }
    this.reset()
  }

  reset(): void {
    this.#bytes.set(this.#initial)
  }

  /** Reads a byte, `at` below CONFIG_BYTES. */
  read(at: number): number {
    return this.#bytes[at] ?? 0
  }

  /** Writes a byte: the bits that the guest may write. */
  write(at: number, value: number): void {
    const mask = this.#writable[at] ?? 0
    this.#bytes[at] = (this.read(at) & ~mask) | (value & mask)
  }
}
