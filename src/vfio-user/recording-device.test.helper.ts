/** A device for tests: registers that keep what is written, and a record of the calls. */

import type { AccessBytes, PciBar, PciBus, PciDevice } from './pci-device.ts'

export class RecordingDevice implements PciDevice {
  readonly identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0x020000, revision: 1 }
  readonly bars: readonly PciBar[] = [
    { index: 0, bytes: 4096 },
    { index: 2, bytes: 8192 },
  ]
  readonly msix = { bar: 1, vectors: 5 }
  readonly calls: string[] = []
  bus: PciBus | undefined
  value = 0

  attach(bus: PciBus): void {
    this.bus = bus
    this.calls.push('attach')
  }

  detach(): void {
    this.bus = undefined
    this.calls.push('detach')
  }

  read(bar: number, offset: number, bytes: AccessBytes): number {
    this.calls.push(`read ${bar} ${offset} ${bytes}`)
    return this.value
  }

  write(bar: number, offset: number, bytes: AccessBytes, value: number): void {
    this.calls.push(`write ${bar} ${offset} ${bytes} ${value}`)
  }

  reset(): void {
    this.calls.push('reset')
  }
}
