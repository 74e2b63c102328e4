/**
 * A PCI device in 40 lines, for a guest in QEMU: it inverts bytes of the guest's memory. Its driver writes
 * an address and a length, rings, and waits for the interrupt.
 *
 *   node build/examples/pci-device.js /tmp/inverter.sock
 *   qemu-system-x86_64 … -object memory-backend-memfd,id=mem,size=2G,share=on -machine memory-backend=mem \
 *     -device '{"driver":"vfio-user-pci","socket":{"path":"/tmp/inverter.sock","type":"unix"}}'
 */

import { type PciBus, type PciDevice, serveDevice } from 'netmem/vfio-user'

/**
 * Register of BAR 0 behind the address, of 64 bits, and the length. A write begins. A read says how it
 * ended: 1 done, 2 no such memory.
 */
const DOORBELL = 0x0c
const MAX_BYTES = 65_536

class Inverter implements PciDevice {
  readonly identity = { vendorId: 0x1b36, deviceId: 0x10ff, classCode: 0xff_00_00 }
  readonly bars = [{ index: 0, bytes: 4096 }]
  readonly msix = { bar: 1, vectors: 1 }
  readonly #registers = new Uint32Array(1024)
  #bus: PciBus | undefined

  attach(bus: PciBus): void {
    this.#bus = bus
    this.reset()
  }

  detach(): void {
    this.#bus = undefined
  }

  reset(): void {
    this.#registers.fill(0)
  }

  read(_bar: number, offset: number): number {
    return this.#registers[offset / 4] ?? 0
  }

  write(_bar: number, offset: number, bytes: number, value: number): void {
    if (bytes !== 4) return
    this.#registers[offset / 4] = offset === DOORBELL ? this.#invert() : value
    if (offset === DOORBELL) this.#bus?.interrupt(0)
  }

  #invert(): number {
    const [low = 0, high = 0, length = 0] = this.#registers
    const bytes = new Uint8Array(Math.min(length, MAX_BYTES))
    const address = low + high * 2 ** 32
    if (this.#bus?.memory.read(address, bytes) !== true) return 2
    for (const [index, byte] of bytes.entries()) bytes[index] = ~byte
    return this.#bus.memory.write(address, bytes) ? 1 : 2
  }
}

const path = process.argv[2] ?? '/tmp/inverter.sock'
const served = await serveDevice(path, new Inverter(), {
  onConnect: () => console.log('a machine has the device'),
  onDisconnect: (reason) => console.log(reason?.message ?? 'the machine is gone'),
})
console.log(`listening on ${path}`)
process.once('SIGTERM', () => void served.close())
