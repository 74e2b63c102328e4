/**
 * PCI devices in TypeScript for a guest in QEMU 10.1 or newer, by the vfio-user protocol: QEMU connects
 * to a Unix socket, and hands over the guest's memory and interrupts. Needs Linux and koffi, an optional
 * dependency: `npm install koffi@3`.
 */

export { DeviceServer, type DeviceServerOptions } from './device-server.ts'
export type {
  AccessBytes,
  GuestMemory,
  PciBar,
  PciBus,
  PciDevice,
  PciIdentity,
  PciMsix,
} from './pci-device.ts'
export { type ServeDeviceOptions, type ServedDevice, serveDevice } from './serve-device.ts'
export { VfioUserError } from './vfio-user-error.ts'
