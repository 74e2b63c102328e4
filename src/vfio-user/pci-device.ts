/** A PCI device in this process, and what it has of the guest that drives it. */

/** Numbers by which a guest's kernel finds a driver. */
export interface PciIdentity {
  /** Vendor, 16 bits. */
  readonly vendorId: number
  /** Device, 16 bits. */
  readonly deviceId: number
  /** Base class, subclass and programming interface, 24 bits: 0x020000 is an Ethernet controller. */
  readonly classCode: number
  /** Revision, 8 bits. 0 by default. */
  readonly revision?: number
  /** Vendor of the subsystem. `vendorId` by default. */
  readonly subsystemVendorId?: number
  /** Number of the subsystem. `deviceId` by default. */
  readonly subsystemId?: number
}

/** Registers of a device that the guest maps: a base address register (BAR) of 32 bits. */
export interface PciBar {
  /** Number of the BAR, 0 to 5. */
  readonly index: number
  /** Size in bytes, a power of two of 4096 or more. */
  readonly bytes: number
}

/** Interrupts of a device. Their table has a separate BAR, whose accesses the server answers. */
export interface PciMsix {
  /** Number of that BAR, 0 to 5. */
  readonly bar: number
  /** Number of vectors, 1 to 2048. */
  readonly vectors: number
}

/** Bytes of an access to a BAR. Longer ones arrive as several, the lowest offset first. */
export type AccessBytes = 1 | 2 | 4

/**
 * A PCI device that `serveDevice()` puts into a guest. All calls come from one thread, one after the
 * other. The guest is not trusted: offsets lie within the BAR, and values may be anything.
 *
 * A call that throws ends the connection to the guest's machine, whose accesses fail from then on.
 */
export interface PciDevice {
  /** Numbers by which the guest's kernel finds a driver. */
  readonly identity: PciIdentity
  /** BARs of the device, without the BAR of `msix`. */
  readonly bars: readonly PciBar[]
  /** Interrupts of the device. */
  readonly msix: PciMsix
  /** A machine has the device from here on. The device is as after `reset()`. */
  attach(bus: PciBus): void
  /** The machine is gone, and `bus` with it. */
  detach(): void
  /**
   * Reads a register. The guest's processor stands still until it returns.
   *
   * @param offset byte of the BAR, a multiple of `bytes`.
   * @returns the value as a number without sign. More bits than `bytes` has are dropped.
   */
  read(bar: number, offset: number, bytes: AccessBytes): number
  /** Writes a register. `value` is a number without sign, of `bytes` in little-endian order. */
  write(bar: number, offset: number, bytes: AccessBytes, value: number): void
  /** The guest resets the device. The device forgets all settings, above all addresses. */
  reset(): void
}

/** Memory and interrupts of the guest, as its device reaches them. */
export interface PciBus {
  /** The guest's memory. */
  readonly memory: GuestMemory
  /**
   * Interrupts the guest. A masked vector remembers one interrupt. Has no effect while the guest has
   * interrupts turned off, and for unknown vectors.
   */
  interrupt(vector: number): void
}

/**
 * Memory of a guest, at the addresses that its driver hands out. It consists of regions: parts of the
 * address space of 1 GiB, mapped where the guest has memory. Maps that touch are one piece.
 *
 * A region stays where it is as long as the machine. Where the guest has no memory, reads see zeros and
 * writes are lost, so a view of a region is always safe. `locate()` says where there is memory.
 *
 * Other processors of the guest write at the same time: read each word once, check it, then use it.
 */
export interface GuestMemory {
  /** Bytes of each region, 1 GiB, by region. Regions are added, and stay. */
  readonly regions: readonly Uint8Array<ArrayBuffer>[]
  /** A view of each region, by region. */
  readonly views: readonly DataView<ArrayBuffer>[]
  /** Region that the last `locate()` found. */
  readonly region: number
  /** Byte of that region, below 2^30. */
  readonly offset: number
  /** Number of changes of the maps so far. Code that keeps places compares it. */
  readonly changes: number
  /**
   * Looks an address up, and sets `region` and `offset`. Allocates nothing.
   *
   * @param address guest address. Numbers of 2^53 and above are in no map.
   * @param write true for memory that the device may write.
   * @returns how many of `bytes` lie there in one piece, or 0 if the guest has no such memory. Fewer
   *   than `bytes` are the first piece: look up the rest.
   */
  locate(address: number, bytes: number, write: boolean): number
  /**
   * Looks an address up as `locate()` does, in two words: the engine makes garbage of numbers beyond 31
   * bits, and a descriptor has words. For each descriptor of a ring.
   *
   * @param high high word of the guest address, signed or not.
   * @param low low word of the guest address, signed or not.
   */
  locateWords(high: number, low: number, bytes: number, write: boolean): number
  /** Copies from the guest. Returns false, and may have copied a part, if its memory ends before. */
  read(address: number, target: Uint8Array): boolean
  /** Copies to the guest. Returns false, and may have copied a part, if its memory ends before. */
  write(address: number, source: Uint8Array): boolean
}
